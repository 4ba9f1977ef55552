"""A fitted learner as a policy: numpy in, numpy out."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.spaces import Leaves, batch_of, unflatten
from genrl.learners.observer import Observer
from genrl.learners.together import require_company
from genrl.training.rest import Switchable, evaluating
from genrl.training.spec import DataSpec


class Actor(Switchable, Protocol):
    """The part of a learner that acts."""

    observer: Observer
    spec: DataSpec | None
    stochastic: bool

    def __call__(self, observations: Tensor) -> Tensor:
        """What the actor says, (B, K), about standardised observations (B, D)."""

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions inside the space from what the actor said."""


class LearnedPolicy:
    """Encodes observations, asks the learner's network and decodes its actions.

    Each episode draws from its own seed.

    Args:
        learner: a fitted learner.
        together: environments that the network is asked for at once.

    Raises:
        ConfigurationError: ``together`` is below 1.
    """

    def __init__(self, learner: Actor, together: int = 1) -> None:
        require_company(together)
        self.learner, self.together = learner, together
        self._generators = EpisodeGenerators()

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New noise where an episode begins; there is no other state."""
        self._generators.reset(mask, seeds)

    @torch.inference_mode()
    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions for B observations, inside the action space; ``conditions.goal`` overrides the desired goal.

        Raises:
            ConditionError: a condition other than a goal, a goal for a learner without one, or no goal where needed; a
                goal outside the space; a goal or an observation that is not finite.
            ConfigurationError: actions are to be drawn, and the policy was not reset for B environments.
        """
        learner, spec = self.learner, self.learner.spec
        assert spec is not None
        leaves = self._leaves(observations)
        batch = next(iter(leaves.values())).shape[0]
        understood = {"goal"} if learner.observer.goal.dim else set()
        (conditions or Conditions()).require(type(learner).__name__, understood, batch)
        columns = learner.observer.shown(leaves, None if conditions is None else conditions.goal)
        with evaluating(learner):
            outputs = torch.cat([learner(rows) for rows in columns.split(self.together)])  # (B, K)
        uniform = None if deterministic or not learner.stochastic else self._uniform(outputs)
        actions = {path: leaf.cpu().numpy() for path, leaf in learner.decide(outputs, uniform).items()}
        return unflatten(spec.action_space, actions)

    def _leaves(self, observations: Any) -> Leaves:
        assert self.learner.spec is not None
        return batch_of(self.learner.spec.observation_space, observations)

    def _uniform(self, like: Tensor) -> Tensor:
        """(B, K) uniform numbers in [0, 1), each row from its episode's generator."""
        draws = self._generators.draw(len(like), lambda generator: generator.random(like.shape[1]))
        return torch.from_numpy(draws).to(like)
