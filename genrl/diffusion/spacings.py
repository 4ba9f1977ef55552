"""Grids between two noise levels by name, so that a configuration can choose one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.grids import exponential, karras, linear
from genrl.diffusion.path import VP, CosineVP, Path


def along(path: Path, n: int, sigma_min: float, sigma_max: float) -> Tensor:
    """(n + 1,) levels at even steps in the time of ``path``, from ``sigma_max`` down to ``sigma_min`` and 0.

    Raises:
        ConfigurationError: no step, or levels out of order.
    """
    linear(n, sigma_min, sigma_max)  # for its checks
    last, first = path.time(torch.tensor([sigma_min, sigma_max], dtype=torch.float64)).tolist()
    levels = path.ratio(torch.linspace(first, last, n, dtype=torch.float64))
    return torch.cat((levels, levels.new_zeros(1)))


PATHS: dict[str, Path] = {"vp": VP(), "cosine": CosineVP()}
"""Those whose own time falls in even steps."""

SMALL = 1e-4
"""A relative step of sigma, for a slope."""

SPACINGS: dict[str, Callable[..., Tensor]] = {
    "karras": karras,
    "exponential": exponential,
    "linear": linear,
    **{name: partial(along, path) for name, path in PATHS.items()},
}
"""``vp``: Song et al. (2021), https://arxiv.org/abs/2011.13456; ``cosine``: Nichol and Dhariwal (2021),
https://arxiv.org/abs/2102.09672; both between the bounds asked for. The variance-exploding grid is ``exponential``."""


def even(name: str, sigma: float, rho: float) -> tuple[float, float]:
    """What falls in even steps along the grid called ``name``, at a level ``sigma``, and its slope by ln(sigma)."""
    if name in PATHS:
        around = torch.tensor([1 - SMALL, 1.0, 1 + SMALL], dtype=torch.float64) * sigma
        before, here, after = PATHS[name].time(around).tolist()
        return here, (after - before) / (2 * SMALL)
    if name == "exponential":
        return math.log(sigma), 1.0
    bend = rho if name == "karras" else 1.0
    return sigma ** (1 / bend), sigma ** (1 / bend) / bend


def spaced(name: str, n: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """The grid called ``name``; ``rho`` bends that of Karras alone.

    Raises:
        ConfigurationError: there is none of that name, no step, or levels out of order.
    """
    if name not in SPACINGS:
        raise ConfigurationError(f"There is no grid {name!r}; there are {', '.join(sorted(SPACINGS))}.")
    bend = {"rho": rho} if name == "karras" else {}
    return SPACINGS[name](n, sigma_min, sigma_max, **bend)
