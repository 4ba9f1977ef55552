"""What each solver does between two noise levels: its coefficients, in float64, tabulated once per grid and path.

Nothing here sees data: ``genrl.diffusion.samplers`` carries out the linear combinations that these rows name. D is the
denoised estimate at the start of a step. Factors of x are tensors, since scaling by one is faster than by a float.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from numpy.polynomial import Polynomial
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.path import Path

Times = tuple[float, ...]


class Step(NamedTuple):
    """x' = keep x + now D + before D_before + spread z, with D_before the estimate of the step before."""

    keep: Tensor
    now: float
    before: float
    spread: float


class Churn(NamedTuple):
    """x^ = lift x + spread z: more noise before a step."""

    lift: Tensor
    spread: float


class Correction(NamedTuple):
    """x'' = keep x^ + now D + ahead D', with D' the estimate at the end of the step."""

    keep: Tensor
    now: float
    ahead: float


class HeunStep(NamedTuple):
    """A step of Euler's from the churned state, and the correction of it where there is one."""

    churn: Churn | None
    predict: Step
    correct: Correction | None


class SlopeStep(NamedTuple):
    """v = of_x x + of_estimate D; x' = keep x + the sum of weights times the latest slopes v, the newest first."""

    of_x: Tensor
    of_estimate: float
    keep: Tensor
    weights: tuple[float, ...]


class Levels(NamedTuple):
    """A path at the times of a grid, (n + 1,) float64 each."""

    t: Tensor
    alpha: Tensor
    sigma: Tensor
    scale: Tensor


def levels(path: Path, times: Times) -> Levels:
    """The levels of a grid.

    Raises:
        ConfigurationError: fewer than two times, times that do not fall, or that the path does not reach.
    """
    t = torch.tensor(times, dtype=torch.float64)
    if len(t) < 2 or bool((t.diff() >= 0).any()) or bool(t[-1] < 0):
        raise ConfigurationError("A sampler needs a grid of two or more times that fall and stay at or above 0.")
    found = Levels(t, path.alpha(t), path.sigma(t), path.scale(t))
    if not all(bool(part.isfinite().all()) for part in found):
        raise ConfigurationError(f"The grid from {times[0]:g} to {times[-1]:g} lies outside the times of {path}.")
    return found


def posterior(alpha: Tensor, sigma: Tensor, eta: float) -> list[Step]:
    """Steps to the mean and the standard deviation of q(x_s | x_t, x_0 = D) at churn ``eta``.

    eta 0 is DDIM and Euler's method, eta 1 ancestral sampling (Song et al. 2021, https://arxiv.org/abs/2010.02502,
    eq. 12, written for any path).
    """
    alpha_t, sigma_t, alpha_s, sigma_s = alpha[:-1], sigma[:-1], alpha[1:], sigma[1:]
    fresh = (sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2).clamp(min=0).sqrt()
    spread = torch.minimum(eta * sigma_s / sigma_t * fresh, sigma_s)
    keep = (sigma_s**2 - spread**2).sqrt() / sigma_t
    now = alpha_s - keep * alpha_t
    return [Step(k, n, 0.0, z) for k, n, z in zip(keep.unbind(), now.tolist(), spread.tolist(), strict=True)]


@lru_cache(maxsize=256)
def euler_steps(path: Path, times: Times, eta: float) -> list[Step]:
    """Rows of ``euler``, one a step."""
    grid = levels(path, times)
    return posterior(grid.alpha, grid.sigma, eta)


@lru_cache(maxsize=256)
def multistep_steps(path: Path, times: Times, eta: float) -> list[Step]:
    """Rows of DPM-Solver++(2M) and, for ``eta`` above 0, of its SDE form, in lambda = ln(alpha / sigma).

    The estimate is extrapolated to the middle of the step from the last two. The first step, and the last into zero
    noise, are of first order.
    """
    _, alpha, sigma, _ = levels(path, times)
    ratio = sigma / alpha  # infinite where nothing of the data is left
    rows = []
    shrink_before = None
    for i in range(len(times) - 1):
        shrink = float(ratio[i + 1] / ratio[i])  # exp(-h), h the step in lambda
        keep = sigma[i + 1] / sigma[i] * shrink**eta
        total = float(alpha[i + 1]) * (1 - shrink ** (1 + eta))
        spread = float(sigma[i + 1]) * math.sqrt(1 - shrink ** (2 * eta))
        extra = 0.0
        if shrink_before is not None and shrink_before > 0 and shrink > 0:
            extra = total * math.log(shrink) / math.log(shrink_before) / 2
        rows.append(Step(keep, total + extra, -extra, spread))
        shrink_before = shrink
    return rows


@lru_cache(maxsize=256)
def heun_steps(
    path: Path, times: Times, s_churn: float, s_tmin: float, s_tmax: float, s_noise: float
) -> tuple[list[HeunStep], Times]:
    """Rows of ``heun`` and the times at which it calls the denoiser, in order."""
    rows, calls = [], []
    gain = min(s_churn / (len(times) - 1), math.sqrt(2) - 1)
    for start, end in pairwise(times):
        here = levels(path, (start, end))
        ratio = here.sigma[0] / here.alpha[0]
        churn = None
        if gain > 0 and s_tmin <= ratio <= s_tmax:
            raised = ratio * (1 + gain)
            here = levels(path, (float(path.time(raised)), end))
            spread = s_noise * here.alpha[0] * (raised**2 - ratio**2).sqrt()
            churn = Churn(here.alpha[0] / path.alpha(torch.tensor(start, dtype=torch.float64)), float(spread))
        predict = posterior(here.alpha, here.sigma, 0.0)[0]
        rows.append(HeunStep(churn, predict, trapezoid(here, predict)))
        calls += [float(here.t[0])] + ([end] if rows[-1].correct else [])
    return rows, tuple(calls)


def trapezoid(step: Levels, predict: Step) -> Correction | None:
    """Heun's correction, where v = (x / c - D) / tau is averaged over both ends; None for a step into zero noise."""
    if step.sigma[1] == 0:
        return None
    scale, tau = step.scale, step.sigma / step.scale
    half = (tau[1] - tau[0]) / 2
    keep = scale[1] / scale[0] * (1 + half / tau[0]) + half / tau[1] * predict.keep
    now = half / tau[1] * predict.now - scale[1] * half / tau[0]
    return Correction(keep, float(now), float(-scale[1] * half / tau[1]))


@lru_cache(maxsize=256)
def slope_steps(path: Path, times: Times, order: int) -> list[SlopeStep]:
    """Rows of ``lms``: Adams-Bashforth in tau for v = (x / c - D) / tau, with unequal steps.

    The first steps are of lower order for want of slopes.
    """
    grid = levels(path, times)
    tau = grid.sigma / grid.scale
    rows = []
    for i in range(len(times) - 1):
        nodes = tau[max(0, i - order + 1) : i + 1].tolist()[::-1]
        weights = adams_weights(nodes, float(tau[i + 1]))
        end = float(grid.scale[i + 1])
        of_x = 1 / (grid.scale[i] * tau[i])
        keep = grid.scale[i + 1] / grid.scale[i]
        rows.append(SlopeStep(of_x, float(-1 / tau[i]), keep, tuple(end * w for w in weights)))
    return rows


def adams_weights(nodes: list[float], end: float) -> list[float]:
    """Integrals from ``nodes[0]`` to ``end`` of the Lagrange polynomials on ``nodes``."""
    weights = []
    for j, node in enumerate(nodes):
        # in the distance from the first node, which keeps the digits of short steps
        basis = Polynomial([1.0])
        for other in nodes[:j] + nodes[j + 1 :]:
            basis *= Polynomial([nodes[0] - other, 1.0]) / (node - other)
        weights.append(float(basis.integ()(end - nodes[0])))
    return weights
