"""What one action is held against: a reference that is asked for by name, and a scheduler loop that samples rightly."""

import os
import subprocess
import sys

import pytest
import torch

from benchmarks.beso_latency_reference import GIVEN, MISSING, REPOSITORY, ReferenceBESO, given, in_turns
from benchmarks.cells import REPOSITORY as ROOT
from benchmarks.scheduler_loops import SCHEDULERS, scheduler, scheduler_loop
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.grids import linear
from genrl.diffusion.path import EDM
from genrl.diffusion.samplers import euler
from genrl.nets.mlp import DenoisingMLP


def test_a_folder_that_is_no_checkout_is_refused_with_the_way_to_get_one(tmp_path):
    with pytest.raises(SystemExit, match=f"no checkout of {REPOSITORY}: git clone"):
        ReferenceBESO(tmp_path)


def test_the_driver_refuses_to_run_without_a_reference(tmp_path):
    command = [sys.executable, "-m", "benchmarks.beso_latency_reference"]
    silent = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert silent.returncode
    assert "--reference" in silent.stderr
    empty = subprocess.run([*command, "--reference", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert empty.returncode
    assert f"git clone {REPOSITORY}" in empty.stderr


def test_nothing_is_given_unless_the_environment_says_so(monkeypatch):
    monkeypatch.delenv(GIVEN, raising=False)
    assert given() == ""
    assert REPOSITORY in MISSING
    monkeypatch.setenv(GIVEN, "folder")
    assert given() == "folder"


@pytest.mark.skipif(not os.environ.get(GIVEN), reason=f"{GIVEN} names no checkout")
@pytest.mark.parametrize(("guidance", "calls"), [(1.0, 3), (1.5, 6)])
def test_an_action_of_the_reference_takes_as_many_calls_as_it_is_said_to(guidance, calls):
    reference, seen = ReferenceBESO(given(), 2, guidance=guidance), []
    hook = reference.net.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0].shape))
    assert reference.act().shape == (2, 9)
    hook.remove()
    assert seen == [(2, 4, 30)] * calls == [(2, 4, 30)] * reference.calls


def test_turns_alternate():
    seen = []
    taken = in_turns({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3)
    assert seen == ["a", "b"] * 4
    assert set(taken) == {"a", "b"}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("steps", [3, 10])
def test_the_loop_around_a_scheduler_is_eulers_method_on_the_linear_grid(name, steps):
    torch.manual_seed(0)
    net, noise = DenoisingMLP(6, width=32, layers=2).eval(), torch.randn(5, 6)
    ours = euler(Denoiser(net, EDM(), EDMPrediction(0.5)), noise, linear(steps, 0.005, 1.0))
    loop = scheduler_loop(scheduler(name, 0.005, 1.0, 0.5), net, noise, None, steps)
    torch.testing.assert_close(loop, ours, atol=5e-6, rtol=0)
