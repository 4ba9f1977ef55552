"""Schedulers of diffusers as samplers."""

import diffusers.schedulers as library
import pytest
import torch

from benchmarks.sampler_references import Gaussian, SmoothNet
from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, VP, CondOT
from genrl.diffusion.samplers import dpmpp_2m, euler
from genrl.diffusion.schedulers import FAMILIES, with_scheduler

LEVEL = torch.tensor([80.0])


def make(name: str, **settings):
    return getattr(library, f"{name}Scheduler")(**settings)


def gaussian_start(path, grid, mean: float, std: float, rows: int = 8000) -> torch.Tensor:
    """An exact sample of the noised data: no scheduler has an excuse."""
    eps = BlockNoise(5, 0).normal(0, (rows, 1), torch.float64)
    x0 = mean + std * BlockNoise(6, 0).normal(0, (rows, 1), torch.float64)
    return path.add_noise(x0, grid[0].double(), eps)


@pytest.mark.parametrize("path", [EDM(), VP(), CondOT()], ids=repr)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_scheduler_samples_a_gaussian_from_every_path(name, path):
    """Far from the unit ball to which some are set to clip."""
    grid = LEVEL if path == EDM() else torch.ones(1)
    if name.startswith("FlowMatch") and path != CondOT():
        path, grid = CondOT(), torch.ones(1)
    sampler = with_scheduler(make(name), 60)
    sample = sampler(Gaussian(path, 3.0, 0.5), gaussian_start(path, grid, 3.0, 0.5), grid, None, BlockNoise(0, 0))
    assert float(sample.mean()) == pytest.approx(3.0, abs=0.12)
    assert float(sample.std()) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("name", ["EDMEuler", "EDMDPMSolverMultistep"])
def test_a_low_highest_level_starts_where_it_should(name):
    """At sigma_max 1 the scheduler's own init_noise_sigma would be 1.41."""
    grid = torch.tensor([1.0])
    exact = Gaussian(EDM(), 3.0, 0.5)
    sampler = with_scheduler(make(name, sigma_max=1.0, sigma_min=0.005), 60)
    sample = sampler(exact, gaussian_start(EDM(), grid, 3.0, 0.5), grid)
    assert float(sample.mean()) == pytest.approx(3.0, abs=0.02)
    assert float(sample.std()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("name", "native"), [("EDMEuler", euler), ("EDMDPMSolverMultistep", dpmpp_2m)])
def test_ours_and_the_schedulers_way_are_one(name, native):
    scheduler = make(name)
    scheduler.set_timesteps(10)
    denoiser = Denoiser(SmoothNet(), EDM(), EDMPrediction(0.5))
    x = 80 * BlockNoise(0, 0).normal(0, (16, 3))
    ours = native(denoiser, x, scheduler.sigmas.double())
    torch.testing.assert_close(with_scheduler(scheduler, 10)(denoiser, x, LEVEL), ours, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["DDPM", "EulerAncestralDiscrete", "SASolver"])
def test_randomness_is_the_callers(name):
    denoiser, x = Gaussian(EDM()), 80 * BlockNoise(0, 0).normal(0, (16, 3))
    scheduler = make(name)
    before = torch.get_rng_state()
    sampler = with_scheduler(scheduler, 10)
    first, again, other = (sampler(denoiser, x, LEVEL, None, BlockNoise(seed, 0)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ConfigurationError, match="noise"):
        sampler(denoiser, x, LEVEL)


def test_the_given_scheduler_is_left_as_it_is():
    scheduler = make("DPMSolverMultistep", prediction_type="sample", thresholding=True)
    with_scheduler(scheduler, 10)(Gaussian(EDM()), torch.ones(4, 2), LEVEL)
    assert scheduler.config.prediction_type == "sample"
    assert scheduler.config.thresholding
    assert scheduler.step_index is None


@pytest.mark.parametrize("settings", [{"prediction_type": "v_prediction"}, {"use_flow_sigmas": True}])
def test_other_settings_of_a_scheduler_are_translated(settings):
    flow = "use_flow_sigmas" in settings
    scheduler = make("DPMSolverMultistep", **settings, **({"prediction_type": "flow_prediction"} if flow else {}))
    path, grid = (CondOT(), torch.ones(1)) if flow else (VP(), torch.ones(1))
    sample = with_scheduler(scheduler, 40)(Gaussian(path, 3.0, 0.5), gaussian_start(path, grid, 3.0, 0.5), grid)
    assert float(sample.mean()) == pytest.approx(3.0, abs=0.1)
    assert float(sample.std()) == pytest.approx(0.5, abs=0.05)


def test_options_reach_every_step():
    x = 80 * BlockNoise(0, 0).normal(0, (16, 3))
    noise = BlockNoise(0, 0)
    calm, lively = (with_scheduler(make("DDIM"), 10, eta=eta)(Gaussian(EDM()), x, LEVEL, None, noise) for eta in (0, 1))
    assert not torch.allclose(calm, lively)


def test_what_is_not_supported_is_named():
    with pytest.raises(ConfigurationError, match=r"VQDiffusionScheduler cannot be a sampler; these can: DDIM, DDPM"):
        with_scheduler(library.VQDiffusionScheduler(num_vec_classes=3), 10)


def test_pure_noise_is_refused_where_the_path_has_none():
    with pytest.raises(ConfigurationError, match="pure noise"):
        with_scheduler(make("FlowMatchEulerDiscrete"), 10)(Gaussian(EDM()), torch.ones(4, 2), LEVEL)
