"""Samplers: functions from noise to data.

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
from typing import Any

from torch import Tensor

from genrl.diffusion import solvers
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.noise import Noise
from genrl.diffusion.program import run


def _times(grid: Tensor) -> tuple[float, ...]:
    return tuple(grid.tolist())


def euler(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Any = None,
    noise: Noise | None = None,
    *,
    eta: float = 0.0,
) -> Tensor:
    """Euler's method, which is DDIM; with ``eta`` above 0 its stochastic form, up to ancestral sampling at 1."""
    return run(solvers.euler(denoiser.path, _times(grid), eta), denoiser, x, condition, noise)


def ancestral(
    denoiser: Estimator, x: Tensor, grid: Tensor, condition: Any = None, noise: Noise | None = None
) -> Tensor:
    """Ancestral sampling, on a VP path DDPM: every step draws from q(x_s | x_t, x_0 = D)."""
    return euler(denoiser, x, grid, condition, noise, eta=1.0)


def heun(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Any = None,
    noise: Noise | None = None,
    *,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = float("inf"),
    s_noise: float = 1.0,
) -> Tensor:
    """Heun's method with churn (Karras et al. 2022, algorithm 2); two calls a step, one in a last step to 0.

    Args:
        denoiser, x, grid, condition, noise: see the module.
        s_churn: noise put back over the whole grid: a step from sigma first raises it to
            sigma (1 + min(s_churn / n, sqrt(2) - 1)), and starts from the state so raised.
        s_tmin: lowest sigma / alpha that is churned.
        s_tmax: highest sigma / alpha that is churned.
        s_noise: standard deviation of the noise put back.
    """
    program = solvers.heun(denoiser.path, _times(grid), s_churn, s_tmin, s_tmax, s_noise)
    return run(program, denoiser, x, condition, noise)


def dpm_2(denoiser: Estimator, x: Tensor, grid: Tensor, condition: Any = None, noise: Noise | None = None) -> Tensor:
    """DPM-Solver-2, a midpoint method in ln(sigma / alpha); two calls a step, one in a last step to 0."""
    return run(solvers.dpm_2(denoiser.path, _times(grid)), denoiser, x, condition, noise)


def dpmpp_2s(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Any = None,
    noise: Noise | None = None,
    *,
    eta: float = 0.0,
    s_tmax: float = float("inf"),
) -> Tensor:
    """DPM-Solver++(2S), two calls a step (Lu et al. 2022); ``eta`` above 0 is stochastic, 1 its ancestral form.

    Args:
        denoiser, x, grid, condition, noise: see the module.
        eta: noise of a step in units of that of the ancestral form. Somewhat above 1 samples come nearer to where the
            data are dense, and what is rare in them becomes rarer.
        s_tmax: highest sigma / alpha from which a step is noisy. In few steps noise at high levels is not forgotten
            and shows in the marginals; at low levels it takes away what earlier steps did wrong.
    """
    return run(solvers.dpmpp_2s(denoiser.path, _times(grid), eta, s_tmax), denoiser, x, condition, noise)


def dpmpp_2m(denoiser: Estimator, x: Tensor, grid: Tensor, condition: Any = None, noise: Noise | None = None) -> Tensor:
    """DPM-Solver++(2M): second order for one call a step (Lu et al. 2022, https://arxiv.org/abs/2211.01095)."""
    return dpmpp_2m_sde(denoiser, x, grid, condition, noise, eta=0.0)


def dpmpp_2m_sde(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Any = None,
    noise: Noise | None = None,
    *,
    eta: float = 1.0,
) -> Tensor:
    """SDE form of DPM-Solver++(2M); ``eta`` scales the randomness, 0 is ``dpmpp_2m``."""
    return run(solvers.dpmpp_2m(denoiser.path, _times(grid), eta), denoiser, x, condition, noise)


def lms(
    denoiser: Estimator,
    x: Tensor,
    grid: Tensor,
    condition: Any = None,
    noise: Noise | None = None,
    *,
    order: int = 4,
) -> Tensor:
    """Linear multistep (Adams-Bashforth) over up to ``order`` slopes, one call a step."""
    return run(solvers.lms(denoiser.path, _times(grid), order), denoiser, x, condition, noise)


SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "euler": euler,
    "ddim": euler,
    "ancestral": ancestral,
    "heun": heun,
    "dpm_2": dpm_2,
    "dpmpp_2s": dpmpp_2s,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "lms": lms,
}
"""All samplers by name; ``ddim`` is another name of ``euler``."""
