"""Schedulers of diffusers as samplers."""

from functools import partial

import diffusers.schedulers as library
import numpy as np
import pytest
import torch

from benchmarks.sampler_references import Gaussian, SmoothNet
from genrl.data.conditions import Conditions
from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Denoiser, EDMPrediction, VelocityPrediction
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, VP, CondOT
from genrl.diffusion.samplers import dpmpp_2m, euler
from genrl.diffusion.sampling import Sampling
from genrl.diffusion.scheduler_sampling import SchedulerSampling
from genrl.diffusion.schedulers import FAMILIES, with_scheduler
from genrl.learners.beso import BESO
from genrl.methods.method import Block
from genrl.nets.policy_mlp import PolicyMLP
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit
from tests.methods.toy_methods import METHODS, assert_close, linear

ALL = np.ones(2, bool)
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


RANGE = {"sigma_min": 0.01, "sigma_max": 3.0}
SAME = [  # a scheduler and the solver that takes the same steps on the same grid
    (SchedulerSampling("EDMEuler", 6, RANGE), Sampling("euler", 6, **RANGE)),
    (SchedulerSampling("EDMDPMSolverMultistep", 6, RANGE), Sampling("dpmpp_2m", 6, **RANGE)),
]


@pytest.mark.parametrize(("scheduled", "native"), SAME)
def test_a_model_is_sampled_by_a_scheduler_as_by_the_same_solver(scheduled, native, tmp_path):
    """Free, from a start through several windows, and by a policy that puts its past actions in."""
    model = fit(METHODS["trajectory-mlp"](), linear(40), 20, progress=False)
    wish = Conditions(start=torch.tensor([[0.5, -0.5]]).expand(4, -1))
    for conditions, length in ((None, None), (wish, 3 * model.horizon)):
        model.sampling = scheduled
        save(model, tmp_path / "model.ckpt")
        by_scheduler = load(tmp_path / "model.ckpt").synthesize(Block(0, 0, 4), conditions, length=length)
        model.sampling = native
        assert_close(by_scheduler, model.synthesize(Block(0, 0, 4), conditions, length=length), atol=1e-3)
    beso = fit(
        BESO(net=partial(PolicyMLP, width=16), history=3, chunk=2, goal_length=0), linear(40), 20, progress=False
    )
    acted = []
    for sampling in (scheduled, native):
        policy = beso.policy(sampling=sampling)
        policy.reset(ALL, np.arange(len(ALL)))
        acted.append(np.stack([policy.act(np.ones((len(ALL), 2), np.float32)) for _ in range(3)]))
    np.testing.assert_allclose(*acted, atol=1e-4)


def test_a_flow_takes_a_scheduler_of_flows():
    denoiser, eps = Denoiser(SmoothNet(), CondOT(), VelocityPrediction()), BlockNoise(0, 0).normal(0, (16, 3))
    scheduler = make("FlowMatchEulerDiscrete")
    scheduler.set_timesteps(5)
    sampled = SchedulerSampling("FlowMatchEulerDiscrete", 5)(denoiser, eps, None, BlockNoise(0, 0))
    torch.testing.assert_close(sampled, euler(denoiser, eps, scheduler.sigmas.double()), atol=1e-5, rtol=0)


def test_what_no_scheduler_does_is_refused_by_name():
    denoiser, eps = Gaussian(EDM()), torch.zeros(2, 1)
    for refuse, words in (
        (lambda: SchedulerSampling("Euler"), "There is no scheduler 'Euler'; there are DDIM"),
        (lambda: SchedulerSampling("EDMEuler", 0), "one step or more, not 0"),
        (lambda: SchedulerSampling("EDMEuler", config={"rhu": 7}), "The scheduler EDMEuler takes sigma_min, .* not"),
        (lambda: SchedulerSampling("UniPCMultistep", config={"solver_type": "odd"}), "cannot be made from"),
        (lambda: SchedulerSampling("DDIM", 2000), "DDIMScheduler cannot take 2000 steps"),
        (
            lambda: SchedulerSampling("UniPCMultistep", config={"use_flow_sigmas": True, "use_dynamic_shifting": True}),
            "mu",
        ),
        (lambda: SchedulerSampling("DDPM")(denoiser, eps, None, None), "takes schedulers that draw none"),
        (lambda: SchedulerSampling("EDMEuler").again(denoiser, eps, 0.5, eps, None, None), "begins at noise alone"),
        (lambda: SchedulerSampling("EDMEuler").moment(1.0), "Guidance goes by the place on a grid"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            refuse()
