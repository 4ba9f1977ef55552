"""Noise levels in training and in sampling."""

import math

import pytest
import torch
from diffusers.schedulers import EDMEulerScheduler
from scipy import stats

from genrl.data.errors import ConfigurationError
from genrl.diffusion import grids
from genrl.diffusion.path import EDM, VP, CondOT, CosineVP
from genrl.diffusion.schedules import LogLogistic, LogNormal, LogUniform, Uniform


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


CASES = {
    "log-normal": (LogNormal(-1.2, 1.2), stats.lognorm(s=1.2, scale=math.exp(-1.2))),
    "log-uniform": (LogUniform(0.01, 10.0), stats.loguniform(0.01, 10.0)),
    "uniform": (Uniform(0.1, 0.9), stats.uniform(0.1, 0.8)),
    "log-logistic": (LogLogistic(math.log(0.5), 0.5, 1e-9, 1e9), stats.fisk(c=2.0, scale=0.5)),
}


@pytest.mark.parametrize("name", CASES)
def test_times_follow_the_distribution(name):
    schedule, reference = CASES[name]
    times = schedule.sample(20_000, seeded())
    assert times.dtype == torch.float32
    assert stats.kstest(times.numpy(), reference.cdf).pvalue > 0.01
    assert torch.equal(times, schedule.sample(20_000, seeded()))


def test_the_log_logistic_has_the_published_quantiles():
    """BESO's schedule on [0.005, 1] with sigma_data 0.5."""
    times = LogLogistic(math.log(0.5)).sample(400_000, seeded())
    quantiles = torch.quantile(times, torch.tensor([0.05, 0.5, 0.95]))
    torch.testing.assert_close(quantiles, torch.tensor([0.10, 0.41, 0.89]), atol=0.005, rtol=0)
    assert times.min() >= 0.005
    assert times.max() <= 1.0


def test_grids_of_three_steps_as_published():
    def same(grid, expected):
        torch.testing.assert_close(grid, torch.tensor(expected, dtype=torch.float64), atol=5e-5, rtol=0)

    same(grids.exponential(3, 0.005, 1.0), [1.0, 0.0707, 0.005, 0.0])
    same(grids.karras(3, 0.005, 1.0, rho=5.0), [1.0, 0.1384, 0.005, 0.0])
    same(grids.linear(3, 0.005, 1.0), [1.0, 0.5025, 0.005, 0.0])
    same(grids.uniform(4), [1.0, 0.75, 0.5, 0.25, 0.0])
    same(grids.karras(1, 0.002, 80.0), [80.0, 0.0])


@pytest.mark.parametrize(("name", "grid"), [("karras", grids.karras), ("exponential", grids.exponential)])
def test_grids_are_those_of_diffusers(name, grid):
    scheduler = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0, sigma_schedule=name)
    scheduler.set_timesteps(20)
    torch.testing.assert_close(grid(20), scheduler.sigmas.double(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("path", [EDM(), VP(), CosineVP(), CondOT()], ids=repr)
def test_a_grid_keeps_its_levels_on_any_path_and_ends_in_zero(path):
    levels = grids.karras(12)
    times = grids.on_path(levels, path)
    assert times[-1] == 0
    assert path.sigma(times[-1:]) == 0
    torch.testing.assert_close(path.ratio(times[:-1]), levels[:-1], rtol=1e-9, atol=0)


@pytest.mark.parametrize("make", [grids.karras, grids.exponential, grids.linear])
def test_bad_grids_are_refused(make):
    with pytest.raises(ConfigurationError, match="at least one step"):
        make(0)
    with pytest.raises(ConfigurationError, match="falls from"):
        make(5, 1.0, 0.5)
