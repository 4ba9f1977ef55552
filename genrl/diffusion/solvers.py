"""What each solver does between noise levels: its program on a path and a grid, made once and kept."""

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
from genrl.diffusion.program import Program, Row

Times = tuple[float, ...]

NOTHING = 1e-9
"""A share of the data that counts as none: what a path leaves of them by rounding at its noisiest end."""

START = Row(states=(1.0,))


class Levels(NamedTuple):
    """A path at given times, float64 each."""

    alpha: Tensor
    sigma: Tensor
    scale: Tensor


def levels(path: Path, times: Times) -> Levels:
    """The levels at the times of a grid.

    Raises:
        ConfigurationError: fewer than two times, times that do not fall, or that the path does not reach.
    """
    t = torch.tensor(times, dtype=torch.float64)
    if len(t) < 2 or not bool((t.diff() < 0).all()) or times[-1] < 0:
        raise ConfigurationError("A sampler needs a grid of two or more times that fall and stay at or above 0.")
    alpha, scale = (torch.where(level.abs() < NOTHING, 0.0, level) for level in (path.alpha(t), path.scale(t)))
    found = Levels(alpha, path.sigma(t), scale)
    if not bool(((found.alpha >= 0) & found.sigma.isfinite()).all()):
        raise ConfigurationError(f"The grid from {times[0]:g} to {times[-1]:g} lies outside the times of {path}.")
    return found


def posterior(alpha: Tensor, sigma: Tensor, eta: float) -> list[Row]:
    """Steps to the mean and the standard deviation of q(x_s | x_t, x_0 = D) at churn ``eta``.

    eta 0 is DDIM and Euler's method, eta 1 ancestral sampling (Song et al. 2021, https://arxiv.org/abs/2010.02502,
    eq. 12, written for any path).
    """
    alpha_t, sigma_t, alpha_s, sigma_s = alpha[:-1], sigma[:-1], alpha[1:], sigma[1:]
    fresh = (sigma_t**2 - (alpha_t / alpha_s * sigma_s) ** 2).clamp(min=0).sqrt()
    spread = torch.minimum(eta * sigma_s / sigma_t * fresh, sigma_s)
    keep = (sigma_s**2 - spread**2).sqrt() / sigma_t
    now = alpha_s - keep * alpha_t
    return [Row((k,), (n,), z) for k, n, z in zip(keep.tolist(), now.tolist(), spread.tolist(), strict=True)]


@lru_cache(maxsize=256)
def euler(path: Path, times: Times, eta: float) -> Program:
    """Euler's method and its stochastic forms."""
    alpha, sigma, _ = levels(path, times)
    return Program(times[:-1], (START, *posterior(alpha, sigma, eta)))


@lru_cache(maxsize=256)
def heun(path: Path, times: Times, s_churn: float, s_tmin: float, s_tmax: float, s_noise: float) -> Program:
    """Heun's method: raise the noise, take a step of Euler's, correct it by the slope at its end.

    A step into zero noise is left uncorrected, for the slope there is not defined; so is one from noise alone where
    the path is straight in sigma / alpha, which is infinite there.
    """
    calls, rows, pending = [], [], START
    gain = min(s_churn / (len(times) - 1), math.sqrt(2) - 1)
    for start, end in pairwise(times):
        step = levels(path, (start, end))
        ratio = step.sigma[0] / step.alpha[0]
        if gain > 0 and s_tmin <= ratio <= s_tmax and ratio.isfinite():  # pure noise takes no more
            raised = ratio * (1 + gain)
            start = float(path.time(raised))
            lift = float(path.alpha(torch.tensor(start, dtype=torch.float64)) / step.alpha[0])
            step = levels(path, (start, end))
            spread = s_noise * float(step.alpha[0] * (raised**2 - ratio**2).sqrt())
            states, estimates, _ = pending
            pending = Row(tuple(lift * f for f in states), tuple(lift * f for f in estimates), spread)
        rows.append(pending)
        calls.append(start)
        [pending] = posterior(step.alpha, step.sigma, 0.0)
        if step.sigma[1] > 0 and step.scale[0] > 0:
            rows.append(pending)
            calls.append(end)
            pending = trapezoid(step, pending)
    return Program(tuple(calls), (*rows, pending))


def trapezoid(step: Levels, predict: Row) -> Row:
    """Heun's correction: the slope (x / c - D) / tau averaged over both ends of a step.

    Its row looks back on the predicted state, which it need not keep, and on the state before.
    """
    scale, tau = step.scale, step.sigma / step.scale
    half = (tau[1] - tau[0]) / 2
    keep = scale[1] / scale[0] * (1 + half / tau[0]) + half / tau[1] * predict.states[0]
    now = half / tau[1] * predict.estimates[0] - scale[1] * half / tau[0]
    ahead = -scale[1] * half / tau[1]
    return Row(states=(0.0, float(keep)), estimates=(float(ahead), float(now)))


@lru_cache(maxsize=256)
def dpm_2(path: Path, times: Times) -> Program:
    """The midpoint method: a step by the slope half-way, in ln(sigma / alpha); into zero noise Euler's."""
    calls, rows, pending = [], [], START
    for start, end in pairwise(times):
        step = levels(path, (start, end))
        rows.append(pending)
        calls.append(start)
        [pending] = posterior(step.alpha, step.sigma, 0.0)
        if (middle := halfway(path, step)) is not None:
            half = levels(path, (start, middle))
            rows += posterior(half.alpha, half.sigma, 0.0)
            calls.append(middle)
            scale, tau = step.scale, step.sigma / step.scale
            slope = float(scale[1] * (tau[1] - tau[0]) * half.scale[1] / half.sigma[1])
            pending = Row((slope / float(half.scale[1]), float(scale[1] / scale[0])), (-slope,))
    return Program(tuple(calls), (*rows, pending))


@lru_cache(maxsize=256)
def dpmpp_2s(path: Path, times: Times, eta: float, s_tmax: float) -> Program:
    """DPM-Solver++(2S): a step by the estimate half-way; with ``eta`` it goes further down and noise is put back."""
    calls, rows, pending = [], [], START
    for start, end in pairwise(times):
        step = levels(path, (start, end))
        rows.append(pending)
        calls.append(start)
        [pending] = posterior(step.alpha, step.sigma, eta if step.sigma[0] <= s_tmax * step.alpha[0] else 0.0)
        down = step._replace(sigma=torch.stack((step.sigma[0], (step.sigma[1] ** 2 - pending.spread**2).sqrt())))
        if (middle := halfway(path, down)) is not None:
            half = levels(path, (start, middle))
            rows += posterior(half.alpha, half.sigma, 0.0)
            calls.append(middle)
            pending = Row((0.0, *pending.states), pending.estimates, pending.spread)
    return Program(tuple(calls), (*rows, pending))


def halfway(path: Path, step: Levels) -> float | None:
    """The time in the middle of a step, in ln(sigma / alpha); None where an end has no data or no noise."""
    ratio = step.sigma / step.alpha
    if not bool(((ratio > 0) & ratio.isfinite()).all()):
        return None
    return float(path.time(ratio.prod().sqrt()))


@lru_cache(maxsize=256)
def dpmpp_2m(path: Path, times: Times, eta: float) -> Program:
    """DPM-Solver++(2M) and, for ``eta`` above 0, its SDE form, in lambda = ln(alpha / sigma).

    The estimate is extrapolated to the middle of the step from the last two. The first step, and the last into zero
    noise, are of first order.
    """
    alpha, sigma, _ = levels(path, times)
    ratio = sigma / alpha  # infinite where nothing is left of the data
    rows, before = [START], 0.0
    for i in range(len(times) - 1):
        shrink = float(ratio[i + 1] / ratio[i])  # exp(-h), with h the step in lambda
        keep = float(sigma[i + 1] / sigma[i]) * shrink**eta
        total = float(alpha[i + 1]) * (1 - shrink ** (1 + eta))
        spread = float(sigma[i + 1]) * math.sqrt(1 - shrink ** (2 * eta))
        if before > 0 and shrink > 0:
            extra = total * math.log(shrink) / math.log(before) / 2
            rows.append(Row((keep,), (total + extra, -extra), spread))
        else:
            rows.append(Row((keep,), (total,), spread))
        before = shrink
    return Program(times[:-1], tuple(rows))


@lru_cache(maxsize=256)
def lms(path: Path, times: Times, order: int) -> Program:
    """Linear multistep: Adams-Bashforth in tau for the slope (x / c - D) / tau, with unequal steps.

    The first steps are of lower order for want of slopes, which limits the whole to second order on an even grid, and a
    last step into zero noise is of first order. A step from infinite tau is Euler's, and no slope is taken there.
    """
    alpha, sigma, scale = levels(path, times)
    tau = (sigma / scale).tolist()
    rows = [START]
    for i in range(len(times) - 1):
        if math.isinf(tau[i]):
            rows += posterior(alpha[i : i + 2], sigma[i : i + 2], 0.0)
            continue
        reach = 1 if tau[i + 1] == 0 else min(order, i + 1 - math.isinf(tau[0]))
        past = range(i, max(-1, i - reach), -1)
        weights = adams_weights([tau[j] for j in past], tau[i + 1])
        end = float(scale[i + 1])
        states = [end * w / float(sigma[j]) for w, j in zip(weights, past, strict=True)]
        estimates = [-end * w / tau[j] for w, j in zip(weights, past, strict=True)]
        states[0] += end / float(scale[i])
        rows.append(Row(tuple(states), tuple(estimates)))
    return Program(times[:-1], tuple(rows))


def adams_weights(nodes: list[float], end: float) -> list[float]:
    """Integrals from ``nodes[0]`` to ``end`` of the Lagrange polynomials on ``nodes``."""
    weights = []
    for j, node in enumerate(nodes):
        basis = Polynomial([1.0])  # in the distance from the first node, which keeps the digits of short steps
        for other in nodes[:j] + nodes[j + 1 :]:
            basis *= Polynomial([nodes[0] - other, 1.0]) / (node - other)
        weights.append(float(basis.integ()(end - nodes[0])))
    return weights
