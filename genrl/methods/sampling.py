"""How a trained diffusion model is sampled: chosen after training, kept apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.grids import karras
from genrl.diffusion.noise import Noise
from genrl.diffusion.samplers import SAMPLERS
from genrl.training.module import Setting


@dataclass(frozen=True)
class Sampling(Setting):
    """A solver on Karras' grid.

    Attributes:
        solver: name of a sampler in ``genrl.diffusion.samplers``.
        steps: steps of the grid.
        sigma_min, sigma_max, rho: the grid, in units of the normalised data.
        options: what else the solver takes, e.g. ``s_churn`` for heun.
    """

    solver: str = "heun"
    steps: int = 32
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.solver not in SAMPLERS:
            raise ConfigurationError(f"There is no solver {self.solver!r}; there are {', '.join(sorted(SAMPLERS))}.")

    def __call__(self, denoiser: Estimator, eps: Tensor, condition: Any, noise: Noise) -> Tensor:
        """Denoise from ``eps`` (B, ...) of unit variance to data (B, ...)."""
        grid = karras(self.steps, self.sigma_min, self.sigma_max, self.rho)
        return SAMPLERS[self.solver](denoiser, eps * self.sigma_max, grid, condition, noise, **self.options)
