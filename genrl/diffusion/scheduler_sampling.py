"""Any scheduler of diffusers in the place of a solver and its grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NoReturn

import torch
from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.setting import Setting
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.noise import Noise
from genrl.diffusion.schedulers import made, require_steps, with_scheduler


@dataclass(frozen=True)
class SchedulerSampling(Setting):
    """A scheduler by its name, on any path; its own noise levels count.

    For breadth and comparison: the solvers of ``genrl.diffusion.samplers`` do the same work at a tenth of the cost
    beside the network, and in half the cases to the same numbers. Those that draw noise are refused, for what they draw
    hangs on the size of the batch.

    Attributes:
        scheduler: a name in ``genrl.diffusion.schedulers.FAMILIES``.
        steps: inference steps.
        config: settings of the scheduler, such as ``sigma_max`` of EDMEuler.

    Raises:
        ConfigurationError: there is no such scheduler, it refuses its settings, or no steps; when it samples, that it
            draws noise, or starts at a noise level that the model's path does not have.
    """

    scheduler: str
    steps: int = 10
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise ConfigurationError(f"A scheduler takes one step or more, not {self.steps!r}.")
        require_steps(made(self.scheduler, self.config), self.steps)

    def __call__(self, denoiser: Estimator, eps: Tensor, condition: Any, noise: Noise) -> Tensor:
        """From ``eps`` (B, ...) of unit variance to data (B, ...)."""
        start = torch.ones(1, device=eps.device)
        sampler = with_scheduler(made(self.scheduler, self.config), self.steps)
        return sampler(denoiser, eps * denoiser.path.sigma(start), start, condition)

    def again(
        self, denoiser: Estimator, rows: Tensor, level: float, eps: Tensor, condition: Any, noise: Noise
    ) -> NoReturn:
        """Refused: schedulers begin at their own highest noise.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("A scheduler begins at noise alone; to begin from data, sample with Sampling.")

    def moment(self, sigma: float) -> NoReturn:
        """Refused: how far a scheduler has come is not known from the noise level.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("Guidance goes by the place on a grid, which a scheduler has not: use Sampling.")
