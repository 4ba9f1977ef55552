"""The speed benchmark: equal networks, a clock that stands in the others' turns, references that are not there."""

import json
import time
from functools import partial

import pytest

from benchmarks import pgd_speed
from benchmarks.cells import Cell
from benchmarks.pgd_speed_cells import GIVEN, MATCHES, TRAIN_STEPS, Turns, network, noise, size_of
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.nets.temporal_unet import TemporalUNet
from genrl.training.fit import fit
from genrl.training.spec import DataSpec

PARAMETERS = {"pgd": 2_791_568, "synther": 6_494_115}
"""Of the references' networks at the sizes that are asked of them, as their own code counts them."""


@pytest.mark.parametrize("name", [name for name, match in MATCHES.items() if match.reference])
def test_no_network_of_ours_is_smaller_than_what_it_is_held_against(name):
    method = MATCHES[name].fresh()
    method.assemble(DataSpec.of(noise(2, 40)))
    size = size_of(method)
    assert PARAMETERS[MATCHES[name].reference] <= size["parameters"] <= 1.1 * PARAMETERS[MATCHES[name].reference]
    assert size["parameters"] == sum(parameter.numel() for parameter in network(method).parameters())


def burn(seconds: float) -> float:
    """A turn of the other side, in CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds


def test_the_clock_of_a_fit_stands_while_others_take_their_turns():
    turns, steps = Turns({"other": partial(burn, 1.0)}), 2 * TRAIN_STEPS
    method = TrajectoryDiffusion(partial(TemporalUNet, width=8, multipliers=(1,)), horizon=4, overlap=0)
    begun = time.process_time()
    fit(method, noise(4, 40), steps, val_every=steps, val_fraction=0.0, progress=False, callbacks=[turns])
    whole = time.process_time() - begun
    assert turns.taken["other"] == [1.0, 1.0]
    assert 0 < TRAIN_STEPS * sum(turns.taken["ours"]) < whole - 2.0


def test_a_reference_that_is_not_here_is_asked_for_and_one_that_is_here_is_not(monkeypatch):
    cell = Cell("turns", "synther-train")
    monkeypatch.setenv(GIVEN, json.dumps({"pgd": ["folder", "python"]}))
    assert "git clone https://github.com/conglu1997/SynthER" in pgd_speed.obstacle(cell)
    assert not pgd_speed.obstacle(Cell("turns", "pgd-train"))
    assert not pgd_speed.obstacle(Cell("turns", "trajectory-sample"))


def test_checkouts_are_known_by_their_files(tmp_path):
    (tmp_path / "copy" / "diffusion").mkdir(parents=True)
    (tmp_path / "copy" / "diffusion" / "edm.py").touch()
    folder, python = str(tmp_path / "copy"), tmp_path / "python"
    with pytest.raises(SystemExit, match="--reference-python"):
        pgd_speed.find_references([folder], [])
    python.touch()
    assert pgd_speed.find_references([folder], [str(python)]) == {"pgd": [folder, str(python)]}
    with pytest.raises(SystemExit, match="no checkout"):
        pgd_speed.find_references([str(tmp_path)], [str(python)])
