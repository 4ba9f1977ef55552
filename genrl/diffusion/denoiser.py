"""From a network to a denoised estimate: preconditioning around the network, never inside it.

Source: "Elucidating the Design Space of Diffusion-Based Generative Models" (Karras et al. 2022),
https://arxiv.org/abs/2206.00364, section 5 and table 1; here for any path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from genrl.data.errors import ConfigurationError
from genrl.diffusion.path import Path, column

HUGE = 1e6
"""Scales of a network's outputs from which on rounding, in single precision, is as large as the data."""


class Scales(NamedTuple):
    """D(x; t) = skip x + out F(into x, ...): what turns the network F into the denoiser D."""

    skip: Tensor
    out: Tensor
    into: Tensor


class Prediction(Hashable, Protocol):
    """What a network is asked for. Predictions are frozen and hashable, like paths."""

    def scales(self, path: Path, t: Tensor) -> Scales:
        """The scales at times ``t`` of any shape."""


@dataclass(frozen=True)
class EDMPrediction:
    """The mix of data and noise whose target has unit variance at every noise level (Karras et al., table 1).

    Args:
        sigma_data: standard deviation of the data as the network sees it; estimate it, 1 is right for z-scored data.
    """

    sigma_data: float = 1.0

    def scales(self, path: Path, t: Tensor) -> Scales:
        """c_skip, c_out and c_in; with x / alpha and sigma / alpha in their places off the EDM path."""
        alpha, sigma = path.alpha(t), path.sigma(t)
        into = (sigma**2 + (alpha * self.sigma_data) ** 2).rsqrt()
        return Scales(skip=alpha * self.sigma_data**2 * into**2, out=sigma * self.sigma_data * into, into=into)


@dataclass(frozen=True)
class EpsilonPrediction:
    """The noise: x_0 = (x - sigma eps) / alpha (Ho et al. 2020, https://arxiv.org/abs/2006.11239)."""

    def scales(self, path: Path, t: Tensor) -> Scales:
        """The input is brought to unit variance for unit-variance data, which on a VP path changes nothing."""
        alpha, sigma = path.alpha(t), path.sigma(t)
        return Scales(skip=1 / alpha, out=-sigma / alpha, into=(alpha**2 + sigma**2).rsqrt())


@dataclass(frozen=True)
class SamplePrediction:
    """The data themselves."""

    def scales(self, path: Path, t: Tensor) -> Scales:
        """Only the input is scaled."""
        alpha, sigma = path.alpha(t), path.sigma(t)
        return Scales(skip=torch.zeros_like(alpha), out=torch.ones_like(alpha), into=(alpha**2 + sigma**2).rsqrt())


@dataclass(frozen=True)
class VelocityPrediction:
    """The velocity of flow matching, v = (x / c - x_0) / tau in the path's straight form; eps - x_0 on ``CondOT``."""

    def scales(self, path: Path, t: Tensor) -> Scales:
        """x_0 = x / c - tau v; the input goes in as it is."""
        scale = path.scale(t)
        return Scales(skip=1 / scale, out=-path.sigma(t) / scale, into=torch.ones_like(t))


class Estimator(Protocol):
    """What samplers take: a ``Denoiser``, a wrapper around one, or any function of the same form with a path."""

    path: Path

    def __call__(self, x: Tensor, t: Tensor, condition: Any = None, /) -> Tensor:
        """(B, ...) noisy data at a scalar time to the estimate of x_0, (B, ...)."""


@dataclass(frozen=True, eq=False)
class FixedScales:
    """Scales at m known times. What is made from them is kept by identity: make them once and keep them too."""

    skip: tuple[float, ...]
    out: tuple[float, ...]
    into: tuple[float, ...]


class Table(NamedTuple):
    """A denoiser at known times, for a sampler's loop: D(x; t_i) = skip[i] x + out[i] ``network(i, into[i] x)``."""

    scales: FixedScales
    network: Callable[[int, Tensor], Tensor]


def tabulate(denoiser: Estimator, times: tuple[float, ...], x: Tensor, condition: Any) -> Table:
    """The table of a denoiser for states like ``x``.

    Denoisers with a ``tabulate`` of their own prepare what they can. All others are called with ordinary tensors
    outside inference mode, without gradients; they may turn these on with ``torch.enable_grad``, as guidance does.
    """
    own = getattr(denoiser, "tabulate", None)
    if own is not None:
        return own(times, x, condition)
    with torch.inference_mode(False):
        levels = torch.tensor(times, dtype=x.dtype, device=x.device).unbind()

    def network(i: int, x: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return denoiser(x.clone(), levels[i], condition)

    return Table(plain(len(times)), network)


@lru_cache(maxsize=256)
def plain(n: int) -> FixedScales:
    """Scales of a function that is an estimate of x_0 as it stands, at n times."""
    return FixedScales(skip=(0.0,) * n, out=(1.0,) * n, into=(1.0,) * n)


class Denoiser(nn.Module):
    """A network as an estimate of x_0 given x_t.

    Args:
        net: maps scaled (B, ...) inputs, (B,) noise levels and (B, C) conditions or None to (B, ...).
        path: how data and noise are mixed.
        prediction: what the network is asked for.
    """

    def __init__(self, net: nn.Module, path: Path, prediction: Prediction) -> None:
        super().__init__()
        self.net, self.path, self.prediction = net, path, prediction

    def forward(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        """(B, ...) noisy data at scalar or (B,) times ``t`` to the estimate of x_0, (B, ...)."""
        skip, out, into = self.prediction.scales(self.path, column(t, x))
        outputs = self.net(into * x, self.path.noise_level(t).expand(len(x)), condition)
        return skip * x + out * outputs.to(x.dtype)

    def loss(self, x0: Tensor, t: Tensor, eps: Tensor, condition: Any = None, mask: Tensor | None = None) -> Tensor:
        """Mean squared error of the network, per sample.

        In terms of the denoised estimate it is the error weighted by 1 / out(t)^2: (s^2 + sd^2) / (s sd)^2 for
        ``EDMPrediction``, the plain error of the noise or the velocity for those predictions.

        Args:
            x0: (B, ...) clean data.
            t: (B,) times, above 0.
            eps: (B, ...) unit noise.
            condition: (B, C) or None.
            mask: weight of each entry, 0 where it shall not count (padding); of the shape of ``x0`` or of its first
                dimensions, (B, H) for (B, H, D).

        Returns:
            (B,) mean over the entries that count; 0 where none does.
        """
        skip, out, into = self.prediction.scales(self.path, column(t, x0))
        x = self.path.add_noise(x0, t, eps)
        target = (x0 - skip * x) / out
        error = (self.net(into * x, self.path.noise_level(t), condition) - target) ** 2
        if mask is None:
            return error.flatten(1).mean(1)
        weight = mask.reshape(mask.shape + (1,) * (error.ndim - mask.ndim)).to(error.dtype).expand_as(error)
        # where, not a product alone: what is masked may be NaN
        total = torch.where(weight > 0, error * weight, 0.0).flatten(1).sum(1)
        return total / weight.flatten(1).sum(1).clamp(min=torch.finfo(error.dtype).tiny)

    def tabulate(self, times: tuple[float, ...], x: Tensor, condition: Any) -> Table:
        """The denoiser at known times, see ``tabulate``."""
        scales, levels = _precondition(self.path, self.prediction, times, len(x), x.dtype, x.device)
        net = self.net
        return Table(scales, lambda i, x: net(x, levels[i], condition).to(x.dtype))


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # what is kept serves outside inference mode too
def _precondition(
    path: Path, prediction: Prediction, times: tuple[float, ...], batch: int, dtype: torch.dtype, device: torch.device
) -> tuple[FixedScales, tuple[Tensor, ...]]:
    """Scales and (B,) noise levels at given times, computed in float64.

    Raises:
        ConfigurationError: nothing can be told of the data at a time, for nothing is left of them.
    """
    t = torch.tensor(times, dtype=torch.float64)
    scales = prediction.scales(path, t)
    if not all(bool((scale.abs() < HUGE).all()) for scale in scales):
        raise ConfigurationError(
            f"{prediction} tells nothing of the data at the first times of a grid from {times[0]:g} on {path}, where"
            " next to nothing is left of them: begin the grid a little lower, or predict the data (SamplePrediction,"
            " EDMPrediction)."
        )
    skip, out, into = (tuple(scale.tolist()) for scale in scales)
    levels = path.noise_level(t).to(device, dtype)
    return FixedScales(skip, out, into), levels[:, None].expand(-1, batch).unbind()
