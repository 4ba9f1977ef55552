"""Grids: the noise levels at which a sampler evaluates its denoiser, (n + 1,) float64, falling and ending in 0.

Levels are relative to the data (sigma / alpha), which is the time itself on the EDM path; ``on_path`` turns them into
the times of any other. Source of the first three: Karras et al. (2022), https://arxiv.org/abs/2206.00364.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.path import Path


def karras(n: int, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """Even steps in sigma^(1 / rho) (eq. 5).

    Args:
        n: steps, at least 1.
        sigma_min: last level before 0.
        sigma_max: first level.
        rho: how much the steps shorten towards low noise; 1 is linear.

    Raises:
        ConfigurationError: no step, or levels out of order.
    """
    _check(n, sigma_min, sigma_max)
    ramp = torch.linspace(sigma_max ** (1 / rho), sigma_min ** (1 / rho), n, dtype=torch.float64) ** rho
    return _finish(ramp)


def exponential(n: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Tensor:
    """Even steps in ln(sigma); arguments and errors as for ``karras``, and ``sigma_min`` must be above 0."""
    _check(n, sigma_min, sigma_max)
    if sigma_min == 0:
        raise ConfigurationError("Even steps in ln(sigma) never come to 0: take a lowest level above it.")
    return _finish(torch.linspace(math.log(sigma_max), math.log(sigma_min), n, dtype=torch.float64).exp())


def linear(n: int, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Tensor:
    """Even steps in sigma; arguments and errors as for ``karras``."""
    return karras(n, sigma_min, sigma_max, rho=1.0)


def uniform(n: int, t_max: float = 1.0) -> Tensor:
    """Even steps in time from ``t_max`` to 0, the usual grid of flow matching.

    Raises:
        ConfigurationError: no step, or no time.
    """
    _check(n, 0.0, t_max)
    return torch.linspace(t_max, 0.0, n + 1, dtype=torch.float64)


def on_path(levels: Tensor, path: Path) -> Tensor:
    """The times of ``path`` at which sigma / alpha takes the given levels."""
    levels = levels.double()
    return torch.where(levels > 0, path.time(levels), 0.0)  # exactly 0 at the end, whatever rounding does


def _check(n: int, low: float, high: float) -> None:
    if n < 1:
        raise ConfigurationError(f"A grid needs at least one step, not {n}.")
    if not 0 <= low < high and not (n == 1 and 0 <= low <= high and high > 0):
        raise ConfigurationError(f"A grid falls from its highest to its lowest level; {high} to {low} does not.")


def _finish(levels: Tensor) -> Tensor:
    return torch.cat((levels, levels.new_zeros(1)))
