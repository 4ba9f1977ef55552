"""Noise levels for training: which t a sample is noised to. All draw in float64 and return float32.

All raise ``ConfigurationError`` where their lowest time is not below their highest, or a number is out of range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_at_least, require_numbers
from genrl.data.setting import Setting


class Schedule(Protocol):
    """A distribution over times."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) times."""


@dataclass(frozen=True)
class LogNormal(Setting):
    """ln(t) ~ N(mean, std^2) (Karras et al. 2022, section 5)."""

    mean: float = -1.2
    std: float = 1.2

    def __post_init__(self) -> None:
        require_numbers(type(self).__name__, mean=self.mean, std=self.std)
        require_at_least(0, std=self.std)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) times, float32."""
        z = torch.randn(n, generator=generator, dtype=torch.float64)
        return (self.mean + self.std * z).exp().float()


@dataclass(frozen=True)
class LogLogistic(Setting):
    """ln(t) logistic around ``loc``, cut off at both ends (BESO, Reuss et al. 2023, https://arxiv.org/abs/2304.02532).

    Args:
        loc: median of ln(t) before the cut; ln(sigma_data) in the paper.
        scale: scale of the logistic distribution.
        low: lowest time.
        high: highest time.
    """

    loc: float
    scale: float = 0.5
    low: float = 0.005
    high: float = 1.0

    def __post_init__(self) -> None:
        _require_range(self, self.low > 0)
        require_numbers(type(self).__name__, loc=self.loc, scale=self.scale)
        if not self.scale > 0:
            raise ConfigurationError(f"The scale of a LogLogistic is above 0, not {self.scale}.")

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) times, float32."""
        first, last = (1 / (1 + math.exp(-(math.log(t) - self.loc) / self.scale)) for t in (self.low, self.high))
        u = first + (last - first) * torch.rand(n, generator=generator, dtype=torch.float64)
        return (self.loc + self.scale * torch.logit(u)).exp().clamp(self.low, self.high).float()


@dataclass(frozen=True)
class LogUniform(Setting):
    """ln(t) uniform between the logarithms of ``low`` and ``high``."""

    low: float = 0.002
    high: float = 80.0

    def __post_init__(self) -> None:
        _require_range(self, self.low > 0)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) times, float32."""
        u = torch.rand(n, generator=generator, dtype=torch.float64)
        return (math.log(self.low) + u * math.log(self.high / self.low)).exp().float()


@dataclass(frozen=True)
class Uniform(Setting):
    """t uniform between ``low`` and ``high``, the usual choice on VP and flow-matching paths."""

    low: float = 1e-3
    high: float = 1.0

    def __post_init__(self) -> None:
        _require_range(self, self.low >= 0)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n,) times, float32."""
        return (self.low + (self.high - self.low) * torch.rand(n, generator=generator, dtype=torch.float64)).float()


def _require_range(schedule: LogLogistic | LogUniform | Uniform, begins: bool) -> None:
    if not (begins and schedule.low < schedule.high < math.inf):
        raise ConfigurationError(
            f"The noise levels of a {type(schedule).__name__} go from a low one to a higher one, not from"
            f" {schedule.low} to {schedule.high}."
        )
