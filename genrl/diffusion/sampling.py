"""How a trained diffusion model is sampled: chosen after training, kept apart from it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.ranges import require_numbers
from genrl.data.setting import Setting
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.grids import uniform
from genrl.diffusion.guidance import Moment
from genrl.diffusion.noise import Noise
from genrl.diffusion.path import EDM, CondOT, Path
from genrl.diffusion.precision import at_precision, require_precision
from genrl.diffusion.samplers import SAMPLERS
from genrl.diffusion.spacings import even, spaced

ENDLESS = {"s_churn", "s_tmax"}
"""Options of solvers that may be infinite."""


@dataclass(frozen=True)
class Sampling(Setting):
    """A solver on a grid of noise levels, on the ``EDM`` path.

    Attributes:
        solver: name of a sampler in ``genrl.diffusion.samplers``.
        steps: steps of the grid.
        sigma_min, sigma_max, rho: the grid, in units of the normalised data.
        options: what else the solver takes, e.g. ``s_churn`` for heun.
        spacing: name of the grid in ``genrl.diffusion.spacings``.
        temperature: factor on the noise that samples begin with and that the solver adds; below 1 samples gather where
            the data are densest, with 0 they are all one. Known entries are noised as ever.
        precision: 32-true, or bf16-mixed, in which networks multiply and convolve in bfloat16. That takes 0.7 to
            0.9 of the time on a CPU that has it; what the batch size changes by rounding, it changes more.

    Raises:
        ConfigurationError: there is no such solver, option, grid, temperature or precision.
    """

    path: ClassVar[type[Path]] = EDM
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
        numbers = {name: getattr(self, name) for name in ("sigma_min", "sigma_max", "rho", "temperature")}
        require_numbers(type(self).__name__, **numbers)
        _require_common(self)
        if not self.rho > 0:
            raise ConfigurationError(f"The grid is bent by a rho above 0, not by {self.rho}.")
        try:
            falls = bool((self.grid.diff() < 0).all())
        except OverflowError:
            falls = False
        if not falls:
            raise ConfigurationError(
                f"The levels of {self.steps} steps from {self.sigma_max} to {self.sigma_min} and 0, bent by {self.rho},"
                " do not fall: take a lowest level above 0, and a moderate rho."
            )

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
        """How far along the grid a noise level is."""
        (low, _), (high, _), (here, slope) = (
            even(self.spacing, level, self.rho) for level in (self.sigma_min, self.sigma_max, sigma)
        )
        if high == low:
            return Moment(sigma, 0.0, 0.0)
        return Moment(sigma, min(max((high - here) / (high - low), 0.0), 1.0), slope / (high - low))


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
        ConfigurationError: there is no such solver, option, step, bend, temperature or precision.
    """

    path: ClassVar[type[Path]] = CondOT
    solver: str = "euler"
    steps: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)
    bend: float = 1.0
    temperature: float = 1.0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        require_numbers(type(self).__name__, bend=self.bend, temperature=self.temperature)
        _require_common(self)
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
    """The solver carried out on ``grid`` from (B, ...) states ``x``.

    Raises:
        ConfigurationError: the denoiser is on another path.
    """
    require_path(how, denoiser.path)
    with at_precision(how.precision, x.device):
        return SAMPLERS[how.solver](denoiser, x, grid, condition, noise, **how.options)


def require_path(how: Any, path: Path) -> None:
    """Refuse settings that solve on another path than ``path``; schedulers of other libraries go any.

    Raises:
        ConfigurationError: they do.
    """
    if isinstance(how, Sampling | FlowSampling) and not isinstance(path, how.path):
        raise ConfigurationError(
            f"A {type(how).__name__} solves on the path {how.path.__name__}, and this model was trained on"
            f" {type(path).__name__}: Sampling is for {EDM.__name__}, FlowSampling for {CondOT.__name__}."
        )


def changed(how: Any, changes: Mapping[str, Any], who: str) -> Any:
    """The sampling of ``who`` with other settings; with another solver the options of the last one go.

    Raises:
        ConfigurationError: ``who`` draws nothing that could be set, or there are no such settings.
    """
    if not isinstance(how, Setting):
        raise ConfigurationError(f"A {who} has no sampler, so that there is nothing to set by {dict(changes)}.")
    known = [each.name for each in fields(how)]  # type: ignore[arg-type]
    if not set(changes) <= set(known):
        raise ConfigurationError(
            f"A {who} cannot be sampled with {dict(changes)}; settings are: {', '.join(sorted(known))}."
        )
    if changes.get("solver", getattr(how, "solver", None)) != getattr(how, "solver", None):
        changes = {"options": {}, **changes}
    return replace(how, **changes)  # type: ignore[type-var]


def _require_common(how: Sampling | FlowSampling) -> None:
    """Refuse a solver, options, a number of steps, a temperature or a precision that there is not."""
    if how.solver not in SAMPLERS:
        raise ConfigurationError(f"There is no solver {how.solver!r}; there are {', '.join(sorted(SAMPLERS))}.")
    _require_options(how.solver, how.options)
    if not isinstance(how.steps, Integral):
        raise ConfigurationError(f"steps of a {type(how).__name__} is a whole number, not {how.steps!r}.")
    if not how.temperature >= 0:
        raise ConfigurationError(f"A temperature is 0 or above, not {how.temperature}.")
    require_precision(how.precision)


def _require_options(solver: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the solver's function does not take, or that are no numbers."""
    takes = [p.name for p in inspect.signature(SAMPLERS[solver]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if not isinstance(options, Mapping) or not set(options) <= set(takes):
        raise ConfigurationError(f"The solver {solver!r} takes {', '.join(takes) or 'no options'}, not {options!r}.")
    for name, value in options.items():
        if not isinstance(value, Real) or not float(value) >= 0 or (value == math.inf and name not in ENDLESS):
            raise ConfigurationError(
                f"The option {name} of the solver {solver!r} is a number from 0 on, not {value!r}."
            )
    order = options.get("order", 1)
    if not isinstance(order, Integral) or int(order) < 1:
        raise ConfigurationError(f"The order of the solver {solver!r} is a whole number of at least 1, not {order!r}.")


def _tempered(eps: Tensor, noise: Noise, temperature: float) -> tuple[Tensor, Noise]:
    """The noise to start from and that of the steps, times a factor."""
    if temperature == 1:
        return eps, noise
    return temperature * eps, lambda step, like: temperature * noise(step, like)
