"""Guided denoisers against closed forms, and the published coefficients against the published update."""

import math
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.sampler_references import Gaussian
from genrl.diffusion.grids import karras
from genrl.diffusion.guidance import (
    MOST_SUBSTEPS,
    ClassifierFree,
    Combined,
    Constant,
    Diagnostics,
    Guided,
    Moment,
    Posterior,
    Published,
    ascend,
    unit,
)
from genrl.diffusion.inpaint import Inpaint
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM
from genrl.diffusion.samplers import SAMPLERS, euler
from genrl.methods.sampling import Sampling

SHAPE = (512, 3)
PULL = torch.tensor([0.0, 0.7, -1.5])
MOMENT = Sampling().moment


def exact() -> Gaussian:
    return Gaussian(EDM())


def weight(schedule, sigma: float) -> float:
    return schedule(MOMENT(sigma))


def sample(denoiser, solver: str = "heun", steps: int = 24) -> Tensor:
    grid = karras(steps)
    return SAMPLERS[solver](denoiser, 80 * BlockNoise(0, 0).normal(0, SHAPE), grid, None, BlockNoise(0, 0))


@pytest.mark.parametrize("solver", sorted(SAMPLERS))
def test_a_constant_pull_moves_a_gaussian_by_itself(solver):
    """N(0, 1) tilted by exp(s g x) is N(s g, 1), whatever the solver."""
    led = Guided(exact(), lambda x: PULL.expand_as(x), partial(weight, Posterior(2.0)))
    moved = sample(led, solver, 200) - sample(exact(), solver, 200)
    torch.testing.assert_close(moved, (2 * PULL).expand(SHAPE), atol=0.05, rtol=0)


def test_a_gaussian_pull_gives_the_product_of_two_gaussians():
    """N(0, 1) x exp(-s (x - m)^2 / 2) = N(s m / (1 + s), 1 / (1 + s)), to first order in s."""
    scale, centre = 0.1, 2.0
    led = Guided(exact(), lambda x: centre - x, partial(weight, Posterior(scale)))
    x = sample(led, steps=100)
    assert x.mean().item() == pytest.approx(scale * centre / (1 + scale), abs=0.08)
    assert x.std().item() == pytest.approx((1 + scale) ** -0.5, abs=0.03)


def published_update(scale: float, steps: int, cosine: float) -> Tensor:
    """The paper's loop by hand, first order, without churn: move by s lambda_i g, then a step of the flow."""
    grid = karras(steps)
    x = 80 * BlockNoise(0, 0).normal(0, SHAPE)
    for i, (here, there) in enumerate(zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True)):
        decay = (1 - i / steps) + cosine * math.sin(math.pi * (i + 1) / steps)
        x = x + (scale * decay if i < steps - 1 else 0.0) * PULL
        x = x + (there - here) / here * (x - x / (1 + here**2))
    return x


@pytest.mark.parametrize("cosine", [0.0, 0.3])
def test_the_published_coefficients_are_those_of_the_published_update(cosine):
    def difference(steps: int) -> float:
        led = Guided(exact(), lambda x: PULL.expand_as(x), partial(weight, Published(20 / steps, cosine, steps)))
        ours = euler(led, 80 * BlockNoise(0, 0).normal(0, SHAPE), karras(steps))
        return float((ours - published_update(20 / steps, steps, cosine)).abs().max())

    moved = float((published_update(20 / 1024, 1024, cosine) - published_update(0.0, 1024, cosine)).abs().max())
    assert moved > 0.3
    assert difference(1024) < 0.02 * moved
    assert difference(1024) < 0.4 * difference(256)  # of first order in the steps


def test_the_published_coefficients_do_not_depend_on_the_steps_taken():
    led = Guided(exact(), lambda x: PULL.expand_as(x), partial(weight, Published(0.05)))
    torch.testing.assert_close(sample(led, steps=40), sample(led, steps=160), atol=0.06, rtol=0)


def test_schedules_at_the_ends_of_the_grid():
    first, last = MOMENT(80.0), MOMENT(0.002)
    assert (first.progress, last.progress) == (0.0, 1.0)
    assert Published(1.0, 0.3)(last) == pytest.approx(0.0, abs=1e-6)
    assert Published(1.0, 0.3)(first) > 0
    assert Posterior(3.0)(first) == pytest.approx(3.0, rel=1e-3)
    assert Posterior(3.0)(last) < 1e-4
    assert Constant(2.0, 0.1, 1.0)(Moment(0.5, 0.5, 0.1)) == 2.0
    assert Constant(2.0, 0.1, 1.0)(last) == 0.0


def test_the_rate_is_the_slope_of_the_progress():
    for sigma in (0.01, 0.5, 20.0):
        slope = (MOMENT(sigma).progress - MOMENT(sigma * 1.001).progress) / math.log(1.001)
        assert MOMENT(sigma).rate == pytest.approx(slope, rel=1e-2)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
@settings(max_examples=50)
def test_a_unit_gradient_has_norm_one_or_is_zero(row):
    normed = unit(torch.tensor([row, [0.0, 0.0, 0.0]]))
    assert normed.isfinite().all()
    assert torch.equal(normed[1], torch.zeros(3))
    assert float(normed[0].norm()) == pytest.approx(1.0, abs=1e-3) or not any(row) or max(map(abs, row)) < 1e-18


def test_nothing_moves_without_a_gradient_or_a_weight():
    plain = sample(exact())
    for led in (
        Guided(exact(), torch.zeros_like, partial(weight, Posterior(5.0)), normalize=True),
        Guided(exact(), torch.ones_like, lambda sigma: 0.0),
    ):
        torch.testing.assert_close(sample(led), plain, atol=1e-4, rtol=1e-4)


def test_entries_without_a_gradient_stay_where_they_were():
    def gradient(x: Tensor) -> Tensor:
        return torch.stack((torch.zeros_like(x[:, 0]), x[:, 1], torch.zeros_like(x[:, 2])), 1)

    moved = sample(Guided(exact(), gradient, partial(weight, Posterior(0.5)))) - sample(exact())
    assert moved[:, [0, 2]].abs().max() < 1e-4
    assert moved[:, 1].abs().mean() > 0.1


def test_a_strong_pull_ends_at_the_top_and_not_beyond_it_in_substeps():
    x = 80 * BlockNoise(0, 0).normal(0, SHAPE)

    def estimate(substeps: int) -> Tensor:
        led = Guided(exact(), lambda x: 1.0 - x, partial(weight, Posterior(6.0)), substeps=substeps)
        return led(x, torch.tensor(80.0))

    assert estimate(1).min() > 5.0  # the estimate was about 0, and the top is at 1
    torch.testing.assert_close(estimate(1000), torch.ones(SHAPE), atol=0.01, rtol=0)
    assert 0.9 < estimate(8).min() <= estimate(8).max() < 1.1


@dataclass(frozen=True)
class Pull:
    """Of a Gaussian around 1 with this precision."""

    curvature: float

    def __call__(self, x: Tensor) -> Tensor:
        return self.curvature * (1.0 - x)


@given(st.floats(0.01, 40.0), st.floats(-4.0, 40.0))
@settings(max_examples=30, deadline=None)
def test_a_pull_that_tells_how_sharp_it_is_never_leads_beyond_its_aim(curvature, scale):
    x = 80 * BlockNoise(0, 0).normal(0, (64, 3))
    led = Guided(exact(), Pull(curvature), lambda sigma: scale)(x, torch.tensor(80.0))
    free = exact()(x, torch.tensor(80.0))
    left = (1.0 - led) / (1.0 - free)  # of the way to the top; the gradient flow leaves exp(-scale curvature)
    assert left.min() > -1e-5
    assert left.max() < 1 + 1e-5 if scale >= 0 else left.min() > 1 - 1e-5
    if scale >= 0:
        assert left.max() < math.exp(-min(scale * curvature, MOST_SUBSTEPS)) + 1e-5
    both = Combined([(2.0, Pull(curvature)), (-1.0, Pull(3.0))])
    assert both.curvature == pytest.approx(max(2 * curvature - 3, 0.0))
    assert Combined([(1.0, Pull(1.0)), (1.0, torch.ones_like)]).curvature is None


def test_noisy_guidance_sees_the_noisy_state():
    seen = []

    def gradient(x: Tensor) -> Tensor:
        seen.append(float(x.std()))
        return torch.zeros_like(x)

    x = 80 * BlockNoise(0, 0).normal(0, SHAPE)
    Guided(exact(), gradient, lambda sigma: 1.0, noisy=True)(x, torch.tensor(80.0))
    Guided(exact(), gradient, lambda sigma: 1.0)(x, torch.tensor(80.0))
    assert seen[0] == pytest.approx(80.0, rel=0.1)
    assert seen[1] < 0.1


def test_diagnostics_are_norms_against_the_denoisers_own_move():
    watch = Diagnostics()
    led = Guided(exact(), lambda x: PULL.expand_as(x), partial(weight, Posterior(2.0)), watch=watch)
    x = BlockNoise(0, 0).normal(0, SHAPE)
    led(x, torch.tensor(1.0))
    shift = 2.0 * 0.5 * float(PULL.norm())  # 2 V(1) |g|
    update = float((x / 2)[:, 1:].norm(dim=1).mean())  # D(x) - x = -x / 2, where something moves
    assert watch.guidance == pytest.approx([shift], rel=1e-5)
    assert watch.update == pytest.approx([update], rel=1e-5)
    assert watch.summary()["guidance_ratio"] == pytest.approx(shift / update, rel=1e-5)
    assert Diagnostics().summary() == {}


def test_what_is_given_is_neither_moved_nor_counted():
    x, known = torch.randn(4, 3), torch.full((4, 3), torch.nan)
    known[:, 1] = 2.0
    watch = Diagnostics()
    guided = Guided(Inpaint(exact(), known), lambda x: PULL.expand_as(x), lambda sigma: 1.0, substeps=3, watch=watch)
    estimate = guided(x, torch.tensor(1.5))
    assert (estimate[:, 1] == 2.0).all()
    torch.testing.assert_close(estimate[:, 2], exact()(x, torch.tensor(1.5))[:, 2] - 1.5)
    assert watch.guidance == pytest.approx([1.5])


@pytest.mark.parametrize("substeps", [1, 4, 16])
def test_the_gradient_that_is_told_is_the_one_at_the_estimate(substeps):
    """Where a strong pull leads to the top, nothing is left of it; what it was at first is told."""
    watch, x = Diagnostics(), torch.ones(3, 2)
    led = Guided(exact(), lambda x: -x, lambda sigma: float(substeps), substeps=substeps, watch=watch)
    estimate = exact()(x, torch.tensor(1.0))
    led(x, torch.tensor(1.0))
    assert watch.gradient == pytest.approx([float(estimate.norm(dim=1).mean())], rel=1e-5)
    assert watch.update == pytest.approx([float((estimate - x).norm(dim=1).mean())], rel=1e-5)


def test_a_guided_denoiser_is_the_same_in_a_table():
    led = Guided(exact(), lambda x: PULL - x, partial(weight, Posterior(0.3)))
    torch.testing.assert_close(sample(led), sample(lambda_of(led)), atol=1e-4, rtol=1e-4)


def lambda_of(led: Guided):
    """The same function without a table of its own."""

    class Plain:
        path = led.path

        def __call__(self, x, t, condition=None):
            return led(x, t, condition)

    return Plain()


def test_combined_gradients_may_lead_away():
    both = Combined([(1.0, lambda x: 3 * x), (-2.0, torch.ones_like)])
    x = torch.randn(4, 2)
    torch.testing.assert_close(both(x), 3 * x - 2)


def test_ascend_gives_each_sample_its_own_gradient_inside_inference_mode():
    with torch.inference_mode():
        x = torch.randn(5, 3)
        gradient = ascend(lambda y: y.pow(3).sum(1), x)
    torch.testing.assert_close(gradient.clone(), 3 * x.clone() ** 2)


def test_classifier_free_guidance_goes_on_from_the_free_estimate_through_the_conditional_one():
    class Shifted:
        path = EDM()

        def __call__(self, x, t, condition=None):
            return x + torch.nan_to_num(condition, nan=0.0)

    x, wish = torch.randn(4, 2), torch.full((4, 1), 2.0)
    for w in (0.0, 1.0, 3.0):
        led = ClassifierFree(Shifted(), w, lambda c: torch.full_like(c, torch.nan), lambda a, b: torch.cat((a, b)))
        torch.testing.assert_close(led(x, torch.tensor(1.0), wish), x + w * 2.0)
