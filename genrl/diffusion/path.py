"""Paths from data to noise: x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, 1), with t falling to 0 on the way to data.

Diffusion and flow matching differ in nothing else (Kingma and Gao 2023, https://arxiv.org/abs/2303.00848).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class Path(ABC):
    """A schedule of signal and noise. Paths are frozen and hashable, so that tables made for them can be kept."""

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Share of the data in x_t; 1 at t = 0."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise in x_t; 0 at t = 0."""

    @abstractmethod
    def time(self, ratio: Tensor) -> Tensor:
        """The t at which sigma / alpha, the noise level relative to the data, is ``ratio``."""

    @abstractmethod
    def noise_level(self, t: Tensor) -> Tensor:
        """What a network is told about t (Karras et al. call it c_noise)."""

    def scale(self, t: Tensor) -> Tensor:
        """Divisor c(t) that makes the path of fixed (x_0, eps) straight in tau = sigma / c.

        Then x / c = x_0 + tau v with constant v, and every ordinary differential equation of sampling reads
        d(x / c) / dtau = (x / c - D) / tau: Karras et al. (2022) for c = alpha, flow matching for c = alpha + sigma.
        """
        return self.alpha(t)

    def ratio(self, t: Tensor) -> Tensor:
        """sigma / alpha at t."""
        return self.sigma(t) / self.alpha(t)

    def add_noise(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """(B, ...) data and unit noise at (B,) or scalar times to x_t, (B, ...)."""
        t = column(t, x0)
        return self.alpha(t) * x0 + self.sigma(t) * eps


def column(t: Tensor, x: Tensor) -> Tensor:
    """A scalar or (B,) tensor shaped to broadcast over the (B, ...) tensor ``x``."""
    return t.reshape(t.shape + (1,) * (x.ndim - 1)) if t.ndim else t


@dataclass(frozen=True)
class EDM(Path):
    """Variance exploding: x_t = x_0 + t eps (Karras et al. 2022, https://arxiv.org/abs/2206.00364)."""

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def time(self, ratio: Tensor) -> Tensor:
        """t = sigma."""
        return ratio

    def noise_level(self, t: Tensor) -> Tensor:
        """ln(sigma) / 4."""
        return t.log() / 4


@dataclass(frozen=True)
class VP(Path):
    """Variance preserving, alpha^2 + sigma^2 = 1, with noise rate linear in t from 0 to 1.

    Source: "Score-Based Generative Modeling through SDEs" (Song et al. 2021), https://arxiv.org/abs/2011.13456, eq. 32.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def _log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-1/2 integral of beta)."""
        return self._log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - alpha^2)."""
        return (-torch.expm1(2 * self._log_alpha(t))).sqrt()

    def time(self, ratio: Tensor) -> Tensor:
        """Root of the quadratic that ln(1 + ratio^2) sets."""
        area = torch.log1p(ratio**2)  # the integral of beta
        root = (self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * area).sqrt()
        return 2 * area / (self.beta_min + root)

    def noise_level(self, t: Tensor) -> Tensor:
        """t."""
        return t


@dataclass(frozen=True)
class CosineVP(Path):
    """Variance preserving with alpha a quarter of a cosine over t from 0 to 1.

    Source: "Improved Denoising Diffusion Probabilistic Models" (Nichol and Dhariwal 2021),
    https://arxiv.org/abs/2102.09672, eq. 17.
    """

    offset: float = 0.008

    @property
    def _first(self) -> float:
        return math.pi / 2 * self.offset / (1 + self.offset)

    def _angle(self, t: Tensor) -> Tensor:
        return math.pi / 2 * (t + self.offset) / (1 + self.offset)

    def alpha(self, t: Tensor) -> Tensor:
        """cos(angle) over its value at t = 0."""
        return self._angle(t).cos() / math.cos(self._first)

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - alpha^2), written without the cancellation near t = 0."""
        angle = self._angle(t)
        return ((angle - self._first).sin() * (angle + self._first).sin()).sqrt() / math.cos(self._first)

    def time(self, ratio: Tensor) -> Tensor:
        """The angle whose cosine is that of t = 0 over sqrt(1 + ratio^2)."""
        alpha = (1 + ratio**2).rsqrt()
        sine = (math.sin(self._first) ** 2 + (math.cos(self._first) * ratio * alpha) ** 2).sqrt()
        angle = torch.atan2(sine, math.cos(self._first) * alpha)
        return angle * (2 / math.pi) * (1 + self.offset) - self.offset

    def noise_level(self, t: Tensor) -> Tensor:
        """t."""
        return t


@dataclass(frozen=True)
class CondOT(Path):
    """Conditional optimal transport of flow matching: x_t = (1 - t) x_0 + t eps.

    Source: "Flow Matching for Generative Modeling" (Lipman et al. 2023), https://arxiv.org/abs/2210.02747, with time
    turned round, so that t = 1 is noise here as on every other path.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def time(self, ratio: Tensor) -> Tensor:
        """ratio / (1 + ratio), which is 1 for an infinite ratio."""
        return 1 - 1 / (1 + ratio)

    def noise_level(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def scale(self, t: Tensor) -> Tensor:
        """1: the path is straight in t as it stands."""
        return torch.ones_like(t)
