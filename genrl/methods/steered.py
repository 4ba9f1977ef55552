"""A trajectory diffusion model that an agent leads while it samples: the part that all such methods share."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError, DivergenceError
from genrl.data.ranges import require_numbers
from genrl.data.setting import Setting
from genrl.diffusion.denoiser import Estimator
from genrl.diffusion.guidance import Diagnostics, Gradient, Guided, Posterior, Schedule
from genrl.methods.method import Block, Composite
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion


@dataclass(frozen=True)
class Guidance(Setting):
    """How an agent leads a model.

    Attributes:
        schedule: strength over noise levels, see ``genrl.diffusion.guidance``.
        noisy: take gradients at the noisy window instead of its denoised estimate.
        normalize: divide the gradient by its norm over the whole window.
        substeps: gradients taken for one shift, each where the last one led, for a strong pull in one step leads beyond
            its aim. By default as many as that takes for a policy that tells how sharp it is (one with a mean alone, or
            IQL), 16 at most; and one for any other agent, and where gradients are normalised.
        behaviour: weight of the behaviour policy, which is led away from where one is given.

    Raises:
        ConfigurationError: a number of substeps below one, or a weight that is no finite number.
    """

    schedule: Schedule = Posterior()  # noqa: RUF009 (frozen)
    noisy: bool = False
    normalize: bool = False
    substeps: int | None = None
    behaviour: float = 1.0

    def __post_init__(self) -> None:
        require_numbers("Guidance", behaviour=self.behaviour)
        if self.substeps is not None and not (isinstance(self.substeps, Integral) and self.substeps >= 1):
            raise ConfigurationError(f"Guidance takes at least one substep, not {self.substeps}.")


class Steered(Composite):
    """A fitted trajectory diffusion model under guidance.

    Attributes:
        method: the model.
        guidance: how it is led.
        watched: what guidance did in the last block, call by call.
    """

    understands: ClassVar[frozenset[str]] = TrajectoryDiffusion.understands
    method: TrajectoryDiffusion
    guidance: Guidance
    watched: Diagnostics

    def adopt(self, method: TrajectoryDiffusion, guidance: Guidance) -> None:
        """Take over the model's data and conditions.

        Raises:
            ConfigurationError: the model was never fitted.
        """
        self.method, self.guidance, self.watched = method, guidance, Diagnostics()
        method.header()
        self.spec = method.spec

    @abstractmethod
    def gradient(self, continued: bool = False) -> Gradient:
        """Where to; ``continued`` windows are those of stitched episodes, whose last actions are carried out too."""

    def _warn_of_overshoot(self, gradient: Gradient) -> None:
        """Tell of substeps so large, where noise is high, that each leads further from the aim than it began."""
        substeps, curvature = self.guidance.substeps, getattr(gradient, "curvature", None)
        if substeps is None or not curvature or self.guidance.normalize:
            return
        sampling = self.method.sampling
        highest = abs(self.guidance.schedule(sampling.moment(getattr(sampling, "sigma_max", 1.0))))
        if highest * curvature > 2 * substeps:
            warnings.warn(
                f"With substeps={substeps} guidance of weight {highest:.3g} leads ever further beyond the aim of an"
                f" agent as sharp as this (curvature {curvature:.3g}), to the bounds of the actions or beyond all"
                f" numbers: leave substeps out, or take {math.ceil(highest * curvature)}.",
                stacklevel=3,
            )

    @property
    def diagnostics(self) -> dict[str, float]:
        """Strength of guidance against the denoiser's own updates in the last block."""
        return self.watched.summary()

    def synthesize(
        self,
        block: Block,
        conditions: Conditions | None = None,
        *,
        length: int | None = None,
        batch_size: int | None = None,
    ) -> Episodes:
        """The model's episodes, led; conditions and other errors are those of ``TrajectoryDiffusion.synthesize``.

        Raises:
            DivergenceError: guidance led beyond all numbers.
        """
        continued = length is not None and length > self.method.horizon
        watched, gradient, sampling = Diagnostics(), self.gradient(continued), self.method.sampling
        self._warn_of_overshoot(gradient)

        def steer(denoiser: Estimator) -> Estimator:
            return Guided(
                denoiser,
                gradient,
                lambda sigma: self.guidance.schedule(sampling.moment(sigma)),
                noisy=self.guidance.noisy,
                normalize=self.guidance.normalize,
                substeps=self.guidance.substeps,
                watch=watched,
            )

        episodes = self.method.synthesize(block, conditions, length=length, batch_size=batch_size, steer=steer)
        self.watched = watched
        if not all(map(math.isfinite, watched.guidance)):
            raise DivergenceError(
                "Guidance led beyond all numbers: a shift in so few substeps goes far beyond the aim of so sharp an"
                " agent. Leave substeps out, which takes as many as are needed, or lower the scale."
            )
        return episodes
