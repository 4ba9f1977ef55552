"""Half precision: the networks have it, the formulas around them have not, and what is made stays near."""

import copy

import pytest
import torch
from torch import nn

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.gaussian import GaussianResidual
from genrl.diffusion.guidance import Guided
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, CondOT
from genrl.diffusion.samplers import SAMPLERS
from genrl.diffusion.sampling import FlowSampling, Sampling
from genrl.methods.method import Block
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, linear

R, D = 4, 3
HALF = "bf16-mixed"


class Probe(nn.Module):
    """A network of one layer that remembers the formats it met."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(D, D)
        self.formats = set()

    def forward(self, x, noise, condition=None):
        made = self.layer(x)
        self.formats.add((x.dtype, made.dtype))
        return made


class Zero(nn.Module):
    def forward(self, x, noise, condition=None):
        return torch.zeros_like(x, dtype=torch.bfloat16)


def windows():
    return torch.randn(200, R, D, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.tensor([1, 0.1, 1e-4]))


@pytest.mark.parametrize("solver", SAMPLERS)
@pytest.mark.parametrize(("sampling", "path"), [(Sampling, EDM()), (FlowSampling, CondOT())])
def test_networks_are_called_in_half_precision_with_states_in_full(solver, sampling, path):
    probe, eps = Probe(), torch.randn(5, R, D)
    denoiser = Denoiser(probe, path, EDMPrediction())
    with torch.inference_mode():
        made = sampling(solver, 3, precision=HALF)(denoiser, eps, None, BlockNoise(0, 0))
        again = sampling(solver, 4, precision=HALF).again(denoiser, made, 0.5, eps, None, BlockNoise(0, 0))
    assert probe.formats == {(torch.float32, torch.bfloat16)}
    assert made.dtype == again.dtype == torch.float32
    assert not torch.equal(made, made.bfloat16().float())  # the last step is not rounded
    assert not torch.is_autocast_enabled("cpu")


def test_the_gaussian_part_is_exact():
    residual = GaussianResidual(Zero(), (R, D))
    residual.fit(windows())
    x, noise = windows()[:9], torch.full((9,), -1.0)
    plain = residual(x, noise)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(residual(x, noise), plain, rtol=0, atol=0)
        rough = x.flatten(1) @ residual.basis
    assert rough.dtype == torch.bfloat16  # as it would be


def test_guidance_is_taken_in_full():
    target, seen = nn.Linear(D, D), []

    def gradient(x):
        seen.append(target(x).dtype)
        return torch.zeros_like(x)

    denoiser = Guided(Denoiser(Probe(), EDM(), EDMPrediction()), gradient, lambda sigma: 1.0)
    Sampling("euler", 3, precision=HALF)(denoiser, torch.randn(5, R, D), None, BlockNoise(0, 0))
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("name", METHODS)
def test_what_is_made_is_the_same_to_within_its_rounding(name):
    method = fit(METHODS[name](), linear(), 200, batch_size=64, progress=False)
    half = copy.deepcopy(method)
    half.sampling = type(half.sampling)(**{**vars(half.sampling), "precision": HALF})
    block = Block(seed=0, index=0, size=64)
    plain, rounded = (made.synthesize(block).observations[""] for made in (method, half))
    apart = (plain - rounded).abs() / linear().observations[""].std(0)
    assert not torch.equal(plain, rounded)
    assert float(apart.median()) < 0.02  # bfloat16 has steps of 1 in 256


def test_another_precision_is_refused():
    for kind in (Sampling, FlowSampling):
        with pytest.raises(ConfigurationError, match=r"no precision '16-mixed'; there are 32-true, bf16-mixed"):
            kind(precision="16-mixed")
