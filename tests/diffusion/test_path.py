"""Paths against their closed forms."""

import math

import pytest
import torch
from scipy.integrate import quad

from genrl.diffusion.path import EDM, VP, CondOT, CosineVP

PATHS = [EDM(), VP(), VP(0.5, 10.0), CosineVP(), CosineVP(0.02), CondOT()]
TIMES = torch.linspace(1e-4, 0.99, 199, dtype=torch.float64)


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_data_at_zero_and_only_more_noise_later(path):
    zero = torch.zeros(1, dtype=torch.float64)
    assert path.alpha(zero) == 1
    assert path.sigma(zero) == 0
    assert path.scale(zero) == 1
    assert (path.ratio(TIMES).diff() > 0).all()


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_time_inverts_the_noise_ratio(path):
    levels = torch.logspace(-3, 2, 101, dtype=torch.float64)
    torch.testing.assert_close(path.ratio(path.time(levels)), levels, rtol=1e-9, atol=0)


@pytest.mark.parametrize("path", [VP(), VP(0.5, 10.0), CosineVP()], ids=repr)
def test_variance_is_preserved(path):
    torch.testing.assert_close(path.alpha(TIMES) ** 2 + path.sigma(TIMES) ** 2, torch.ones_like(TIMES))


def test_vp_decays_by_the_integral_of_its_noise_rate():
    path = VP(0.3, 12.0)
    for t in (0.1, 0.5, 1.0):
        area, _ = quad(lambda u: 0.3 + u * 11.7, 0, t)
        assert float(path.alpha(torch.tensor(t, dtype=torch.float64))) == pytest.approx(math.exp(-area / 2))


def test_cosine_vp_is_the_published_schedule():
    def f(t):
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (0.05, 0.4, 0.9):
        assert float(CosineVP().alpha(torch.tensor(t, dtype=torch.float64))) ** 2 == pytest.approx(f(t) / f(0))


def test_flow_matching_moves_straight_from_data_to_noise():
    x0, eps = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).unbind()
    t = torch.tensor([0.0, 0.25, 0.5, 1.0])
    expected = torch.stack([(1 - float(s)) * a + float(s) * b for s, a, b in zip(t, x0, eps, strict=True)])
    torch.testing.assert_close(CondOT().add_noise(x0, t, eps), expected)
    assert CondOT().time(torch.tensor(math.inf)) == 1


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_scaled_states_lie_on_a_straight_line(path):
    """x / c = x_0 + tau v for one v at all times."""
    x0, eps = 0.7, -1.3
    scaled = (path.alpha(TIMES) * x0 + path.sigma(TIMES) * eps) / path.scale(TIMES)
    velocity = (scaled - x0) / (path.sigma(TIMES) / path.scale(TIMES))
    torch.testing.assert_close(velocity, velocity[:1].expand_as(velocity), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_float32_is_accurate_enough_for_networks(path):
    t = path.time(torch.logspace(-2.5, 1.5, 50, dtype=torch.float64))
    torch.testing.assert_close(path.sigma(t.float()).double(), path.sigma(t), rtol=1e-4, atol=0)
