"""Sampling, where the answer is known: the denoiser of a Gaussian is linear, so noise scales what is made of it."""

import math

import pytest
import torch

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Denoiser, EDMPrediction, EpsilonPrediction, VelocityPrediction
from genrl.diffusion.grids import uniform
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, VP, CondOT, CosineVP
from genrl.diffusion.samplers import SAMPLERS
from genrl.diffusion.sampling import FlowSampling, Sampling
from genrl.diffusion.spacings import SPACINGS

MEAN, STD = 0.7, 0.3
CHOICES = [
    *(Sampling(solver, 8, 0.01, 3.0) for solver in ("ddim", "ancestral", "dpmpp_2m_sde")),
    *(FlowSampling(solver, 8) for solver in ("euler", "ancestral")),
]


class Gaussian:
    """E[x_0 | x_t] of data from N(MEAN, STD^2)."""

    def __init__(self, path):
        self.path = path

    def __call__(self, x, t, condition=None):
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)


def drawn(sampling, temperature, warm=False):
    cool = type(sampling)(**{**vars(sampling), "temperature": temperature})
    data = Gaussian(CondOT() if isinstance(sampling, FlowSampling) else EDM())
    eps, noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double(), BlockNoise(0, 0)
    if warm:
        return cool.again(data, torch.full_like(eps, MEAN), 0.5, eps, None, noise)
    return cool(data, eps, None, noise)


@pytest.mark.parametrize("sampling", CHOICES, ids=lambda s: f"{type(s).__name__}-{s.solver}")
@pytest.mark.parametrize("warm", [False, True])
def test_temperature_scales_the_spread_and_leaves_the_middle(sampling, warm):
    mean = drawn(sampling, 0.0, warm)
    torch.testing.assert_close(mean, mean[:1].expand_as(mean))
    assert abs(float(mean[0]) - MEAN) < 0.1  # the path begins at 0 rather than at alpha times the mean
    torch.testing.assert_close(drawn(sampling, 0.4, warm) - mean, 0.4 * (drawn(sampling, 1.0, warm) - mean))


def test_a_negative_temperature_is_refused():
    for kind in (Sampling, FlowSampling):
        with pytest.raises(ConfigurationError, match="temperature is 0 or above, not -1"):
            kind(temperature=-1.0)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"solver": "heun", "options": {"eta": 1.0}}, "'heun' takes s_churn, s_tmin, s_tmax, s_noise, not {'eta'"),
        ({"solver": "dpm_2", "options": {"eta": 1.0}}, "'dpm_2' takes no options"),
        ({"options": 3}, "not 3"),
        (
            {"solver": "euler", "options": {"eta": "much"}},
            "option eta of the solver 'euler' is a number from 0 on, not 'much'",
        ),
        ({"solver": "lms", "options": {"order": 0}}, "whole number of at least 1, not 0"),
        ({"solver": "lms", "options": {"order": 1.5}}, "whole number of at least 1, not 1.5"),
        ({"steps": "abc"}, "steps of a .*Sampling is a whole number, not 'abc'"),
        ({"steps": 2.5}, "whole number, not 2.5"),
        ({"steps": 0}, "at least one step"),
        ({"solver": "euler", "options": {"eta": -1.0}}, "a number from 0 on, not -1.0"),
        ({"solver": "euler", "options": {"eta": math.inf}}, "a number from 0 on, not inf"),
        ({"solver": "heun", "options": {"s_noise": math.inf}}, "a number from 0 on, not inf"),
        ({"temperature": "warm"}, "temperature of a .*Sampling is a finite number, not 'warm'"),
    ],
)
@pytest.mark.parametrize("kind", [Sampling, FlowSampling])
def test_settings_that_no_solver_could_follow_are_refused(kind, settings, reason):
    with pytest.raises(ConfigurationError, match=reason):
        kind(**settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rho": 0}, "a rho above 0, not by 0"),
        ({"sigma_max": "high"}, "not 'high'"),
        ({"sigma_min": None}, "not None"),
        ({"sigma_min": 0.0, "spacing": "exponential"}, "never come to 0"),
        ({"sigma_min": 0.0}, "do not fall: take a lowest level above 0"),
        ({"rho": 0.004}, "a moderate rho"),
    ],
)
def test_grids_that_cannot_be_are_refused(settings, reason):
    with pytest.raises(ConfigurationError, match=reason):
        Sampling(**settings)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_moment_is_the_share_of_the_grids_own_steps(spacing):
    sampling = Sampling(steps=9, sigma_min=0.01, sigma_max=20.0, spacing=spacing)
    levels = sampling.grid[:-1].tolist()
    for step, sigma in enumerate(levels):
        here, ahead = sampling.moment(sigma), sampling.moment(sigma * 0.999)
        assert here.progress == pytest.approx(step / 8, abs=1e-6)
        if step < 8:
            assert here.rate == pytest.approx((ahead.progress - here.progress) / -math.log(0.999), rel=0.01)


OPTIONS = {
    "heun": [{"s_churn": 2.0}, {"s_churn": 2.0, "s_tmax": 1.0, "s_noise": 1.1}],
    "dpmpp_2s": [{"eta": 1.0}, {"eta": 1.0, "s_tmax": 2.0}],
    "euler": [{"eta": 0.5}],
    "dpmpp_2m_sde": [{"eta": 0.0}, {"eta": 0.5}],
    "lms": [{"order": 1}],
}


@pytest.mark.parametrize(("how", "path"), [(Sampling(), CondOT()), (FlowSampling(), EDM()), (Sampling(), VP())])
def test_a_model_on_another_path_is_refused(how, path):
    eps = torch.zeros(2, 1).double()
    for solve in (how, lambda *given: how.again(given[0], eps, 0.5, *given[1:])):
        with pytest.raises(ConfigurationError, match=f"trained on {type(path).__name__}: Sampling is for EDM"):
            solve(Gaussian(path), eps, None, BlockNoise(0, 0))


@pytest.mark.parametrize("solver", SAMPLERS)
def test_every_solver_begins_at_pure_noise(solver):
    """Where nothing is left of the data, sigma over alpha is infinite."""
    eps = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).double()
    for options in ({}, *OPTIONS.get(solver, [])):
        made = FlowSampling(solver, 20, options)(Gaussian(CondOT()), eps, None, BlockNoise(0, 0))
        assert float(made.mean()) == pytest.approx(MEAN, abs=0.05)
        assert float(made.std()) == pytest.approx(STD, abs=0.08)


@pytest.mark.parametrize("path", [VP(), CosineVP(), CondOT()], ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("solver", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_solver_begins_where_the_path_ends(solver, path, dtype):
    """At t = 1 rounding leaves 6e-17 of the data on a cosine, which is as good as nothing."""
    eps = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).to(dtype)
    made = SAMPLERS[solver](Gaussian(path), eps, uniform(40), None, BlockNoise(0, 0))
    assert float(made.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(made.std()) == pytest.approx(STD, abs=0.06)


@pytest.mark.parametrize("prediction", [EpsilonPrediction(), VelocityPrediction()])
def test_what_is_told_of_nothing_is_refused(prediction):
    """Noise is no news where the state is noise alone."""
    net = torch.nn.Module()
    net.forward = lambda x, t, condition: x
    denoiser, eps = Denoiser(net, CosineVP(), prediction), torch.zeros(2, 1)
    with pytest.raises(ConfigurationError, match="begin the grid a little lower"):
        SAMPLERS["euler"](denoiser, eps, uniform(4))
    SAMPLERS["euler"](denoiser, eps, uniform(4, 0.999))
    SAMPLERS["euler"](Denoiser(net, CosineVP(), EDMPrediction()), eps, uniform(4))
