"""A Gaussian squashed into [-1, 1] by tanh: the policy of soft actor-critic.

Source: "Soft Actor-Critic Algorithms and Applications" (Haarnoja et al. 2018), https://arxiv.org/abs/1812.05905,
appendix C.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_STD = (-5.0, 2.0)
EDGE = 1e-6
"""Actions this near to their bounds count as this near: at the bounds themselves the density has no limit."""


class SquashedGaussian:
    """a = tanh(u), u ~ N(mean, std^2) in every column.

    Args:
        outputs: (..., 2 A) mean and log standard deviation of u, the latter softly kept within ``LOG_STD``.
    """

    def __init__(self, outputs: Tensor) -> None:
        self.location, raw = outputs.chunk(2, dim=-1)
        low, high = LOG_STD
        self.log_std = low + 0.5 * (high - low) * (torch.tanh(raw) + 1)

    @property
    def mode(self) -> Tensor:
        """(..., A) tanh of the mean."""
        return torch.tanh(self.location)

    def sample(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (..., A), differentiable, for standard normal numbers (..., A); and their log density (...)."""
        u = self.location + self.log_std.exp() * eps
        return torch.tanh(u), self._log_density(u)

    def log_prob(self, actions: Tensor) -> Tensor:
        """(...) log density of actions (..., A) in [-1, 1]."""
        return self._log_density(torch.atanh(actions.clamp(-1 + EDGE, 1 - EDGE)))

    def _log_density(self, u: Tensor) -> Tensor:
        """log N(u) - log |da / du|, da / du = 1 - tanh(u)^2, in a form that is exact for large u."""
        gaussian = -0.5 * (((u - self.location) / self.log_std.exp()).square() + math.log(2 * math.pi)) - self.log_std
        return (gaussian - 2 * (math.log(2) - u - F.softplus(-2 * u))).sum(-1)
