"""Samplers: functions from noise to data. Each calls the denoiser and combines; ``solvers`` knows by how much.

Every sampler runs on every path: on ``CondOT`` ``euler`` and ``heun`` are the solvers of flow matching, on ``EDM``
those of Karras et al. (2022), https://arxiv.org/abs/2206.00364, on ``VP`` ``euler`` is DDIM. A grid that ends in 0 ends
in the last denoised estimate itself.

Common arguments:
    denoiser: (x, t, condition) -> estimate of x_0, with a ``path``.
    x: (B, ...) state at the grid's first time.
    grid: (n + 1,) falling times, see ``genrl.diffusion.grids``.
    condition: (B, C) handed on to the denoiser, or None.
    noise: source of randomness, see ``genrl.diffusion.noise``; needed by stochastic samplers only.
All return the state at the grid's last time, (B, ...), and raise ``ConfigurationError`` for a grid that does not fall
or lies outside the path, or where noise is needed and none is given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Estimator, tabulate
from genrl.diffusion.noise import Noise
from genrl.diffusion.solvers import Step, Times, euler_steps, heun_steps, multistep_steps, slope_steps

Options = ParamSpec("Options")
Function = Callable[Concatenate[Estimator, Tensor, Tensor, Options], Tensor]


def _sampler(function: Function[Options]) -> Function[Options]:
    """Run in inference mode and hand out an ordinary tensor, which may take part in training."""

    @wraps(function)
    def run(denoiser: Estimator, x: Tensor, grid: Tensor, *args: Options.args, **kwargs: Options.kwargs) -> Tensor:
        with torch.inference_mode():
            result = function(denoiser, x, grid, *args, **kwargs)
        return result.clone()

    return run


def _times(grid: Tensor) -> Times:
    return tuple(grid.tolist())


def _draw(noise: Noise | None, step: int, like: Tensor) -> Tensor:
    if noise is None:
        raise ConfigurationError("This sampler is stochastic: give it noise, for instance BlockNoise(seed, block).")
    return noise(step, like)


def _combine(
    denoiser: Estimator, x: Tensor, times: Times, steps: list[Step], condition: Tensor | None, noise: Noise | None
) -> Tensor:
    """The loop of all samplers that call the denoiser once a step and remember at most one estimate."""
    estimate = tabulate(denoiser, times[:-1], x, condition)
    estimate_before = x
    for i, (keep, now, before, spread) in enumerate(steps):
        x0 = estimate(i, x)
        x = (x * keep).add_(x0, alpha=now)
        if before:
            x.add_(estimate_before, alpha=before)
        if spread:
            x.add_(_draw(noise, i + 1, x), alpha=spread)
        estimate_before = x0
    return x


@_sampler
def euler(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Tensor | None = None,
    noise: Noise | None = None,
    *,
    eta: float = 0.0,
) -> Tensor:
    """Euler's method, which is DDIM; with ``eta`` above 0 its stochastic form, up to ancestral sampling at 1."""
    times = _times(grid)
    return _combine(denoiser, x, times, euler_steps(denoiser.path, times, eta), condition, noise)


@_sampler
def ancestral(
    denoiser: Estimator, x: Tensor, grid: Tensor, condition: Tensor | None = None, noise: Noise | None = None
) -> Tensor:
    """Ancestral sampling, on a VP path DDPM: every step draws from q(x_s | x_t, x_0 = D)."""
    times = _times(grid)
    return _combine(denoiser, x, times, euler_steps(denoiser.path, times, 1.0), condition, noise)


@_sampler
def dpmpp_2m(
    denoiser: Estimator, x: Tensor, grid: Tensor, condition: Tensor | None = None, noise: Noise | None = None
) -> Tensor:
    """DPM-Solver++(2M): second order for one call a step (Lu et al. 2022, https://arxiv.org/abs/2211.01095)."""
    times = _times(grid)
    return _combine(denoiser, x, times, multistep_steps(denoiser.path, times, 0.0), condition, noise)


@_sampler
def dpmpp_2m_sde(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Tensor | None = None,
    noise: Noise | None = None,
    *,
    eta: float = 1.0,
) -> Tensor:
    """SDE form of DPM-Solver++(2M); ``eta`` scales the randomness, 0 is ``dpmpp_2m``."""
    times = _times(grid)
    return _combine(denoiser, x, times, multistep_steps(denoiser.path, times, eta), condition, noise)


@_sampler
def heun(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Tensor | None = None,
    noise: Noise | None = None,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Heun's method with churn (Karras et al. 2022, algorithm 2); two calls a step, one in a last step to 0.

    Args:
        s_churn: noise put back over the whole grid; a step from sigma starts at
            sigma (1 + min(s_churn / n, sqrt(2) - 1)), and it starts from the churned state.
        s_tmin: lowest sigma / alpha that is churned.
        s_tmax: highest sigma / alpha that is churned.
        s_noise: standard deviation of the noise put back.
    """
    rows, calls = heun_steps(denoiser.path, _times(grid), s_churn, s_tmin, s_tmax, s_noise)
    estimate = tabulate(denoiser, calls, x, condition)
    call = 0
    for i, (churn, predict, correct) in enumerate(rows):
        if churn is not None:
            x = (x * churn.lift).add_(_draw(noise, i + 1, x), alpha=churn.spread)
        x0 = estimate(call, x)
        x_end = (x * predict.keep).add_(x0, alpha=predict.now)
        call += 1
        if correct is not None:
            x0_end = estimate(call, x_end)
            x_end = (x * correct.keep).add_(x0, alpha=correct.now).add_(x0_end, alpha=correct.ahead)
            call += 1
        x = x_end
    return x


@_sampler
def lms(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Tensor | None = None,
    noise: Noise | None = None,
    *,
    order: int = 4,
) -> Tensor:
    """Linear multistep (Adams-Bashforth) of up to ``order`` slopes, one call a step."""
    times = _times(grid)
    estimate = tabulate(denoiser, times[:-1], x, condition)
    slopes: list[Tensor] = []
    for i, (of_x, of_estimate, keep, weights) in enumerate(slope_steps(denoiser.path, times, order)):
        x0 = estimate(i, x)
        slopes = [(x * of_x).add_(x0, alpha=of_estimate), *slopes[: order - 1]]
        x = x * keep
        for weight, slope in zip(weights, slopes, strict=True):
            x.add_(slope, alpha=weight)
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "euler": euler,
    "ddim": euler,
    "ancestral": ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "lms": lms,
}
