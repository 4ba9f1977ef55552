"""How a trained diffusion model is sampled: chosen after training, kept apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.setting import Setting
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.grids import uniform
from genrl.diffusion.guidance import Moment
from genrl.diffusion.noise import Noise
from genrl.diffusion.precision import at_precision, require_precision
from genrl.diffusion.samplers import SAMPLERS
from genrl.diffusion.spacings import spaced


@dataclass(frozen=True)
class Sampling(Setting):
    """A solver on a grid of noise levels, on the ``EDM`` path.

    Attributes:
        solver: name of a sampler in ``genrl.diffusion.samplers``.
        steps: steps of the grid.
        sigma_min, sigma_max, rho: the grid, in units of the normalised data.
        options: what else the solver takes, e.g. ``s_churn`` for heun.
        spacing: name of the grid in ``genrl.diffusion.spacings``.
        temperature: factor on all noise that sampling draws; below 1 samples gather where the data are densest, with 0
            nothing is drawn.
        precision: 32-true, or bf16-mixed, in which networks multiply and convolve in bfloat16. That takes a half to
            three quarters of the time on a CPU that has it; what the batch size changes by rounding, it changes more.

    Raises:
        ConfigurationError: there is no such solver, grid, temperature or precision.
    """

    solver: str = "heun"
    steps: int = 32
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    options: Mapping[str, Any] = field(default_factory=dict)
    spacing: str = "karras"
    temperature: float = 1.0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        _require_solver(self.solver)
        _require_temperature(self.temperature)
        require_precision(self.precision)
        _ = self.grid

    def __call__(self, denoiser: Estimator, eps: Tensor, condition: Any, noise: Noise) -> Tensor:
        """Denoise from ``eps`` (B, ...) of unit variance to data (B, ...)."""
        eps, noise = _tempered(eps, noise, self.temperature)
        return _solved(self, denoiser, eps * self.sigma_max, self.grid, condition, noise)

    def again(
        self, denoiser: Estimator, rows: Tensor, level: float, eps: Tensor, condition: Any, noise: Noise
    ) -> Tensor:
        """Noise data (B, ...) with ``eps`` up to the last ``level`` (0 to 1) of the grid's steps, and denoise them."""
        grid = self.grid[self.steps - max(round(level * self.steps), 1) :]
        eps, noise = _tempered(eps, noise, self.temperature)
        return _solved(self, denoiser, rows + float(grid[0]) * eps, grid, condition, noise)

    @property
    def grid(self) -> Tensor:
        """(steps + 1,) noise levels, the last one 0."""
        return spaced(self.spacing, self.steps, self.sigma_min, self.sigma_max, self.rho)

    def moment(self, sigma: float) -> Moment:
        """How far along the grid a noise level is: Karras' steps are even in sigma^(1 / rho)."""
        low, high = (bound ** (1 / self.rho) for bound in (self.sigma_min, self.sigma_max))
        here = sigma ** (1 / self.rho)
        if high == low:
            return Moment(sigma, 0.0, 0.0)
        return Moment(sigma, min(max((high - here) / (high - low), 0.0), 1.0), here / self.rho / (high - low))


@dataclass(frozen=True)
class FlowSampling(Setting):
    """A solver on the ``CondOT`` path of flow matching.

    Attributes:
        solver: name of a sampler in ``genrl.diffusion.samplers``.
        steps: steps from noise to data.
        bend: the times are u ** bend for u in even steps from 1 to 0; above 1 the steps shorten towards the data.
        options: what else the solver takes.
        temperature, precision: see ``Sampling``.

    Raises:
        ConfigurationError: there is no such solver, step, bend, temperature or precision.
    """

    solver: str = "euler"
    steps: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)
    bend: float = 1.0
    temperature: float = 1.0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        _require_solver(self.solver)
        _require_temperature(self.temperature)
        require_precision(self.precision)
        if not self.bend > 0:
            raise ConfigurationError(f"Times are bent by a power above 0, not by {self.bend}.")
        _ = self.grid

    @property
    def grid(self) -> Tensor:
        """(steps + 1,) times from 1 to 0."""
        return uniform(self.steps) ** self.bend

    def __call__(self, denoiser: Estimator, eps: Tensor, condition: Any, noise: Noise) -> Tensor:
        """From ``eps`` (B, ...) of unit variance to data (B, ...)."""
        eps, noise = _tempered(eps, noise, self.temperature)
        return _solved(self, denoiser, eps, self.grid, condition, noise)

    def again(
        self, denoiser: Estimator, rows: Tensor, level: float, eps: Tensor, condition: Any, noise: Noise
    ) -> Tensor:
        """Mix data (B, ...) with ``eps`` up to the last ``level`` (0 to 1) of the steps, and go back to data."""
        grid = self.grid[self.steps - max(round(level * self.steps), 1) :]
        eps, noise = _tempered(eps, noise, self.temperature)
        mixed = torch.lerp(rows, eps, float(grid[0]))
        return _solved(self, denoiser, mixed, grid, condition, noise)


def _solved(
    how: Sampling | FlowSampling, denoiser: Estimator, x: Tensor, grid: Tensor, condition: Any, noise: Noise
) -> Tensor:
    """The solver carried out on ``grid`` from (B, ...) states ``x``."""
    with at_precision(how.precision, x.device):
        return SAMPLERS[how.solver](denoiser, x, grid, condition, noise, **how.options)


def _require_solver(name: str) -> None:
    if name not in SAMPLERS:
        raise ConfigurationError(f"There is no solver {name!r}; there are {', '.join(sorted(SAMPLERS))}.")


def _require_temperature(temperature: float) -> None:
    if not temperature >= 0:
        raise ConfigurationError(f"A temperature is 0 or above, not {temperature}.")


def _tempered(eps: Tensor, noise: Noise, temperature: float) -> tuple[Tensor, Noise]:
    """The noise to start from and that of the steps, times a factor."""
    if temperature == 1:
        return eps, noise
    return temperature * eps, lambda step, like: temperature * noise(step, like)
