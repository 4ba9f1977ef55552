"""Episodes that follow latent futures in a world model: how learners of latent futures synthesise.

The same in an environment is ``genrl.collect`` with the learner's policy, and leaves the same infos.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.ranges import require_whole
from genrl.methods.imagined_play import seeds_of
from genrl.methods.learned_world import LearnedWorld
from genrl.methods.method import require_kind
from genrl.methods.model_rollouts import ModelRollouts


class Memory(Protocol):
    """The running form of a policy that follows a latent future."""

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget where an episode begins."""

    def respond(self, states: Tensor, latent: Tensor | None = None, deterministic: bool = False) -> Tensor:
        """(B, A) encoded actions for standardised observations (B, D), and maybe latents (B, Z) to follow."""

    def infos(self) -> dict[str, np.ndarray]:
        """The ``latent`` (B, Z) that is followed, and its ``predicted_value`` (B,)."""


class Foreseer(Protocol):
    """A fitted learner of latent futures, see ``genrl.learners.future_conditioned``."""

    observer: Any

    def policy(self, candidates: int | None = None, least_mass: float = 0.0) -> Any:
        """The learner as a policy with a memory."""


class ImaginedFutures(ModelRollouts):
    """Rollouts in a world model, from real states, of a policy that follows a latent future from each.

    ``conditions.latent`` (B, Z) are followed instead of latents of the prior. Infos of a transition are the ``latent``
    that is followed, and the return to the end of an episode that its value promised where it was chosen
    (``predicted_value``).

    Args:
        world_model: fitted.
        policy: a fitted learner of latent futures for the same spaces, such as ``DoC``.
        horizon: transitions in an episode, fewer where the model ends it.
        candidates: latents drawn from the prior at a time, of which the one with the highest value is followed; with 1,
            the futures of the episodes are as diverse as those of the data.
        stochastic: draw actions; else take the most likely ones.
        disagreement: see ``ModelRollouts``.

    Raises:
        ConfigurationError: a part was never fitted, they were fitted to other spaces, the policy is of another kind, or
            a number is out of range.
    """

    understands: ClassVar[frozenset[str]] = frozenset({"start", "latent"})

    def __init__(
        self,
        world_model: LearnedWorld,
        policy: Foreseer,
        horizon: int = 32,
        candidates: int = 1,
        stochastic: bool = True,
        disagreement: bool = True,
    ) -> None:
        super().__init__()
        self.adopt(world_model, policy, horizon, disagreement)
        require_kind(policy, ("latent", "tell"), type(self).__name__, "a learner of latent futures, such as DoC")
        require_whole(1, candidates=candidates)
        self.candidates, self.stochastic = candidates, stochastic

    def acting(self, goals: Tensor, conditions: Conditions) -> Following:
        """The policy with a memory for each row of goals (B, G), and what it follows as infos of each transition."""
        return Following(self.policy, goals, conditions.latent, self.candidates, self.stochastic)


class Following:
    """A policy of latent futures as a function from columns to columns, that remembers what it told of each step.

    Args:
        policy: a fitted learner of latent futures.
        goals: (B, G) of the rows.
        latent: (B, Z) to follow; drawn from the prior where None.
        candidates, stochastic: see ``ImaginedFutures``.
    """

    def __init__(
        self, policy: Foreseer, goals: Tensor, latent: Tensor | None, candidates: int, stochastic: bool
    ) -> None:
        self.goals, self.latent, self.stochastic = goals, latent, stochastic
        self.observer, self.told = policy.observer, list[dict[str, np.ndarray]]()
        self.memory: Memory = policy.policy(candidates=candidates)

    def __call__(self, states: Tensor, noise: Tensor) -> Tensor:
        """(B, S), (B, A) to (B, A), see ``genrl.dynamics.rollout.Act``."""
        if not self.told:
            self.memory.reset(np.ones(len(self.goals), bool), seeds_of(noise))
        seen = self.observer.normalize(torch.cat((states, self.goals), dim=-1))
        columns = self.memory.respond(seen, self.latent, deterministic=not self.stochastic)
        self.told.append(self.memory.infos())
        return columns

    def infos(self, lengths: Tensor) -> dict[str, Tensor]:
        """What was told of the first steps of each row, so many of them (B,), one after the other."""
        taken = torch.arange(len(self.told)) < lengths[:, None]  # (B, T)
        steps = {name: np.stack([step[name] for step in self.told], axis=1) for name in self.told[0]}  # (B, T, ...)
        return {name: torch.from_numpy(values)[taken] for name, values in steps.items()}  # (N, ...)
