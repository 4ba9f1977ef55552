"""Policies that denoise their actions: what score-based and flow policies have in common.

In training all actions of a window are noised to one level and denoised, whether they lie before the newest state or
after it. When the policy acts, the actions before are known. They are put into every call of the network noised to that
call's level, as the network met them in training; so what it sees is distributed alike in both.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genrl.data.errors import ConfigurationError
from genrl.data.history import HistoryWindows
from genrl.data.policy import Policy
from genrl.data.randomness import generator
from genrl.data.ranges import require_numbers, require_shares
from genrl.diffusion.denoiser import Denoiser, Estimator, Prediction
from genrl.diffusion.guidance import ClassifierFree
from genrl.diffusion.inpaint import Inpaint
from genrl.diffusion.noise import Noise
from genrl.diffusion.path import Path
from genrl.diffusion.sampling import changed, require_path
from genrl.diffusion.scheduler_sampling import SchedulerSampling
from genrl.diffusion.schedules import Schedule
from genrl.learners.sequence import SequenceLearner
from genrl.learners.sequence_policy import SequencePolicy
from genrl.nets.policy_transformer import Observed


class Solver(Protocol):
    """How actions are drawn from the model; chosen when it acts, see ``genrl.diffusion.sampling``."""

    def __call__(self, denoiser: Estimator, eps: Tensor, condition: Any, noise: Noise) -> Tensor:
        """From ``eps`` (B, ...) of unit variance to data (B, ...)."""

    def again(
        self, denoiser: Estimator, rows: Tensor, level: float, eps: Tensor, condition: Any, noise: Noise
    ) -> Tensor:
        """From data (B, ...) noised up to the last ``level`` (0 to 1) of the steps to data."""


class DenoisingPolicy(SequenceLearner):
    """A conditional diffusion model of the next actions, on any path.

    Attributes:
        goal_dropout: how often training withholds the goal, for guidance without a classifier and acting without one.
        element_dropout: of withholding each entry of a goal by itself.
        guidance: lambda, weight of the goal when acting; 1 is the plain conditional model, 0 ignores the goal.
        sampling: how actions are drawn by default.
    """

    goal_dropout: float
    element_dropout: float
    guidance: float
    sampling: Solver
    model: Denoiser

    @property
    @abstractmethod
    def path(self) -> Path:
        """How actions and noise are mixed."""

    @property
    @abstractmethod
    def prediction(self) -> Prediction:
        """What the network is asked for."""

    @property
    @abstractmethod
    def times(self) -> Schedule:
        """Noise levels of training."""

    @property
    def goal_free(self) -> bool:
        """Whether the policy can act without a goal: training has withheld it at times."""
        return self.goal_dropout > 0 or super().goal_free

    def require_ranges(self) -> None:
        """Refuse arguments that all share, and guidance that cannot work."""
        super().require_ranges()
        require_shares(goal_dropout=self.goal_dropout, element_dropout=self.element_dropout)
        self.require_guidable(self.guidance)
        self.require_solvable(self.sampling)
        if bool((self.path.alpha(self.times.sample(1000, generator(0, "levels"))) < 0).any()):
            raise ConfigurationError(f"Levels of a {type(self).__name__} are times from 0 to 1, and some are above 1.")

    def require_solvable(self, sampling: Solver) -> None:
        """Refuse a solver on another path.

        Raises:
            ConfigurationError: it is, or it is no solver at all.
        """
        if not callable(sampling):
            raise ConfigurationError(
                f"{sampling!r} samples nothing: give a Sampling, or settings that differ from the learner's own, such"
                " as {'solver': 'heun', 'steps': 5}."
            )
        require_path(sampling, self.path)

    def require_guidable(self, guidance: float) -> None:
        """Refuse to weigh a goal against none where training has never withheld it.

        Raises:
            ConfigurationError: guidance that is no finite number, or other than 1 without goal dropout.
        """
        require_numbers(type(self).__name__, guidance=guidance)
        if guidance != 1 and self.goal_length and not self.goal_dropout:
            raise ConfigurationError(
                f"guidance {guidance} weighs a goal against none, which a {type(self).__name__} with goal_dropout 0 has"
                " never met: fit it with goal_dropout 0.1, or leave guidance at 1."
            )

    def output_dim(self, action_dim: int) -> int:
        """One number for each entry of an action."""
        return action_dim

    def around(self, network: nn.Module) -> Denoiser:
        """The network as a denoiser."""
        return Denoiser(network, self.path, self.prediction)

    def loss(self, batch: HistoryWindows, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared error of the network over the actions that there are, one noise level for each window."""
        t = self.times.sample(len(batch.actions), generator).to(batch.actions)
        eps = torch.randn(batch.actions.shape, generator=generator).to(batch.actions)
        observed = Observed(batch.states, self.withheld(batch.goals, generator))
        error = self.model.loss(batch.actions, t, eps, observed, batch.mask)  # (B,)
        share = batch.mask.float().mean(1)  # windows with few actions count for less
        return {"loss": (error * share).sum() / share.sum()}

    def withheld(self, goals: Tensor, generator: torch.Generator) -> Tensor:
        """(B, G, D) goals with NaN in the place of those that are dropped."""
        whole = torch.rand(len(goals), 1, 1, generator=generator) < self.goal_dropout
        part = torch.rand(goals.shape, generator=generator) < self.element_dropout
        return goals.masked_fill((whole | part).to(goals.device), torch.nan)

    def plan(
        self,
        observed: Observed,
        past: Tensor,
        noise: Noise,
        rest: Tensor | None = None,
        *,
        sampling: Solver | None = None,
        guidance: float | None = None,
        level: float = 1.0,
    ) -> Tensor:
        """(B, K, A) actions, drawn.

        Args:
            observed, past, noise: see ``SequenceLearner.plan``.
            rest: (B, K, A) actions to begin from instead of noise.
            sampling: solver and grid; the learner's own by default.
            guidance: lambda; the learner's own by default.
            level: share of the steps that are taken from ``rest``.
        """
        sampling = sampling or self.sampling
        seen, weight = past.shape[1], self.guidance if guidance is None else guidance
        like = past.new_empty(len(past), self.history - 1 + self.chunk, self.codec.dim)  # (B, H, A)
        eps = noise(0, like)
        condition = observed._replace(goals=_dropped(observed.goals)) if weight == 0 else observed
        estimator: Estimator = self.model if weight in (0, 1) else ClassifierFree(self.model, weight, free, both)
        if seen:
            known = torch.cat((past, like.new_zeros(len(past), self.chunk, like.shape[-1])), dim=1)
            mask = torch.arange(like.shape[1], device=like.device)[:, None] < seen  # (H, 1)
            estimator = Inpaint(estimator, known, mask, eps)
        if rest is None:
            drawn = sampling(estimator, eps, condition, noise)
        else:
            drawn = sampling.again(estimator, torch.cat((past, rest), dim=1), level, eps, condition, noise)
        return drawn[:, seen:]

    def policy(
        self,
        execute: int | None = None,
        together: int = 1,
        sampling: Solver | Mapping[str, Any] | None = None,
        guidance: float | None = None,
        warm: float | None = None,
    ) -> Policy:
        """The learner as a policy.

        Args:
            execute, together: see ``SequenceLearner.policy``.
            sampling: solver and grid, any over the noise of training; or what is to differ from the learner's own, such
                as ``{"steps": 5}``.
            guidance: lambda, see the class.
            warm: begin each plan from the rest of the last one, in the last ``warm`` (0 to 1) of the steps.

        Raises:
            ConfigurationError: the learner was never fitted, ``execute`` is not within the chunk, ``warm`` is no share
                or asked of a scheduler, there is guidance and training withheld no goals, or no such sampling.
        """
        self.require_fitted()
        own, who = self.sampling, type(self).__name__
        chosen: Solver = changed(own, sampling, who) if isinstance(sampling, Mapping) else sampling or own
        if chosen is not own:
            self.require_solvable(chosen)
        if warm is not None:
            require_shares(warm=warm)
            if isinstance(chosen, SchedulerSampling):
                raise ConfigurationError(
                    "A scheduler begins at noise alone; to begin from a plan, sample with Sampling."
                )
        self.require_guidable(self.guidance if guidance is None else guidance)
        plan: Callable[..., Tensor] = partial(self.plan, sampling=chosen, guidance=guidance)
        return SequencePolicy(self, plan, execute, together, None if warm is None else partial(plan, level=warm))


def _dropped(goals: Tensor) -> Tensor:
    return torch.full_like(goals, torch.nan)


def free(observed: Observed) -> Observed:
    """The same without goals."""
    return observed._replace(goals=_dropped(observed.goals))


def both(one: Observed, other: Observed) -> Observed:
    """Two batches as one."""
    return Observed(*(torch.cat(pair) for pair in zip(one, other, strict=True)))
