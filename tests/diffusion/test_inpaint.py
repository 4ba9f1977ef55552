"""Inpainting: what is exact and what is not."""

import math

import diffusers.schedulers as library
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from benchmarks.sampler_references import Gaussian, SmoothNet
from genrl.diffusion.denoiser import Denoiser, EDMPrediction
from genrl.diffusion.grids import karras, on_path
from genrl.diffusion.inpaint import Inpaint
from genrl.diffusion.noise import BlockNoise
from genrl.diffusion.path import EDM, VP, CondOT
from genrl.diffusion.samplers import SAMPLERS, euler, heun
from genrl.diffusion.schedulers import with_scheduler

NAN = math.nan
SHAPE = (6, 5, 3)


def some_known() -> Tensor:
    known = torch.full(SHAPE, NAN)
    known[:, 0, :2] = torch.tensor([0.1, -1.7])
    known[2:, 4] = torch.tensor([1 / 3, 0.2, 5.0])
    return known


def start(path, grid) -> Tensor:
    return path.sigma(grid[0]).float() * BlockNoise(0, 0).normal(0, SHAPE)


@pytest.mark.parametrize("path", [EDM(), VP(), CondOT()], ids=repr)
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("fixed", [False, True])
def test_known_entries_come_out_exactly(name, path, fixed):
    known, grid = some_known(), on_path(karras(7), path)
    denoiser = Denoiser(SmoothNet(), path, EDMPrediction(0.5))
    inpaint = Inpaint(denoiser, known, noise=BlockNoise(1, 0).normal(0, SHAPE) if fixed else None)
    sample = SAMPLERS[name](inpaint, start(path, grid), grid, None, BlockNoise(0, 0))
    given = ~known.isnan()
    assert torch.equal(sample[given], known[given])
    assert not torch.isclose(sample[~given], torch.zeros(())).any()


@pytest.mark.parametrize("name", ["DDIM", "EDMEuler", "UniPCMultistep", "HeunDiscrete"])
def test_known_entries_come_out_of_schedulers_exactly(name):
    known, grid = some_known(), karras(7)
    denoiser = Inpaint(Denoiser(SmoothNet(), EDM(), EDMPrediction(0.5)), known)
    sample = with_scheduler(getattr(library, f"{name}Scheduler")(), 7)(denoiser, start(EDM(), grid), grid)
    assert torch.equal(sample[~known.isnan()], known[~known.isnan()])


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_does_not_depend_on_known_entries_is_left_alone(name):
    """Exact where entries are independent."""
    known, grid = some_known(), karras(12)
    plain, inpainted = (
        SAMPLERS[name](denoiser, start(EDM(), grid), grid, None, BlockNoise(0, 0))
        for denoiser in (Gaussian(EDM(), 0.4, 0.7), Inpaint(Gaussian(EDM(), 0.4, 0.7), known))
    )
    free = known.isnan()
    torch.testing.assert_close(inpainted[free], plain[free])


def test_a_mask_overrules_values():
    known = torch.zeros(SHAPE)
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[:, 1] = True
    sample = heun(Inpaint(Gaussian(EDM()), known, mask), start(EDM(), karras(5)), karras(5))
    assert (sample == 0).sum() == mask.sum()


@pytest.mark.parametrize("fixed", [False, True])
def test_the_table_is_the_call(fixed):
    known, x = some_known(), start(EDM(), karras(3))
    noise = BlockNoise(1, 0).normal(0, SHAPE) if fixed else None
    inpaint = Inpaint(Denoiser(SmoothNet(), EDM(), EDMPrediction(0.5)), known, noise=noise)
    scales, network = inpaint.tabulate((2.0, 0.5), x, None)
    for i, t in enumerate((2.0, 0.5)):
        torch.testing.assert_close(network(i, x * scales.into[i]), inpaint(x, torch.tensor(t)))


class Pair:
    """The exact denoiser of two unit Gaussians with a correlation, (B, 2)."""

    path = EDM()

    def __init__(self, correlation: float) -> None:
        self.covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        return x @ torch.linalg.solve(self.covariance + t**2 * torch.eye(2, dtype=torch.float64), self.covariance)


def conditional(sampler, steps: int, known: float, correlation: float = 0.8, **options) -> tuple[float, float]:
    """Mean and standard deviation of one of a pair, the other known."""
    noise, rows = BlockNoise(0, 0), 20_000
    entries = torch.full((rows, 2), NAN, dtype=torch.float64)
    entries[:, 0] = known
    x = 80 * noise.normal(0, (rows, 2), torch.float64)
    sample = sampler(Inpaint(Pair(correlation), entries), x, karras(steps), None, noise, **options)[:, 1]
    return float(sample.mean()), float(sample.std())


def test_dependence_on_known_entries_is_approximate_and_grows_with_churn():
    """With correlation 0.8 and the other at 2 the exact conditional is N(1.6, 0.6^2).

    Without churn the noise in the known entry is one draw throughout and is taken for signal, so that the sample leans
    to the marginal. Churn redraws it and comes closer; nothing but more of it is exact.
    """
    plain = conditional(heun, 64, 2.0)
    churned = [conditional(heun, n, 2.0, s_churn=80.0, s_tmin=0.05, s_tmax=50.0) for n in (64, 256)]
    means = [plain[0], *(mean for mean, _ in churned)]
    assert means == pytest.approx([0.69, 1.15, 1.39], abs=0.03)
    stds = [plain[1], *(std for _, std in churned)]
    assert stds == pytest.approx([0.82, 0.71, 0.65], abs=0.02)


def test_the_probability_flow_under_inpainting_is_the_one_expected():
    """Where 0.69 and 0.82 come from: x_u' = (x_u - D_u) / s along x_k = known + s eps, integrated by scipy."""
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])

    def slope(s: float, factors: np.ndarray) -> np.ndarray:
        """Of x_u as factors of the known value, of eps in the known entry, and of x_u's own noise."""
        of_known, of_own = np.linalg.solve(covariance + s**2 * np.eye(2), covariance)[:, 1]
        return (factors - of_known * np.array([1.0, s, 0.0]) - of_own * factors) / s

    factors = solve_ivp(slope, (80.0, 1e-3), [0.0, 0.0, 80.0], rtol=1e-8, atol=1e-8).y[:, -1]
    mean, std = conditional(euler, 400, 2.0)
    assert mean == pytest.approx(2 * factors[0], abs=0.03)
    assert std == pytest.approx(np.linalg.norm(factors[1:]), abs=0.03)
