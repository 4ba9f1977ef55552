"""Behaviour cloning without saying what is cloned towards: the part that BC and its goal-conditioned form share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from genrl.data.batch import Transitions
from genrl.data.episodes import Episodes
from genrl.data.errors import UnsupportedSpaceError
from genrl.data.goals import GoalLayout
from genrl.data.spaces import Leaves
from genrl.learners.heads import ActionHead
from genrl.learners.learner import Learner
from genrl.learners.observer import Observer
from genrl.training.schedule import warmup_cosine
from genrl.training.spec import DataSpec


class Cloning(Learner):
    """Supervised learning of actions: squared error for Boxes, cross-entropy for discrete leaves."""

    net: Callable[[int, int], nn.Module]
    lr: float
    weight_decay: float

    @abstractmethod
    def goal_leaves(self, layout: GoalLayout) -> tuple[str, ...]:
        """Where the goals that this learner trains on are found."""

    @abstractmethod
    def inputs(self, batch: Any) -> Tensor:
        """(B, D) standardised observations of a batch."""

    def build(self, spec: DataSpec) -> None:
        """Observer, action head and network."""
        self.observer = Observer(spec, self.goal_leaves(GoalLayout.of(spec.observation_space)))
        self.head = ActionHead(spec.action_space)
        self.actor = self.net(self.observer.dim, self.head.dim)
        self.stochastic = not self.head.continuous

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations and continuous actions."""
        super().statistics(episodes)
        self.head.fit(episodes.actions)

    def loss(self, batch: Transitions) -> Tensor:
        """Mean distance between the actor's actions and the data's."""
        return self.head.loss(self(self.inputs(batch)), batch.actions).mean()

    def training_step(self, batch: Transitions, batch_index: int) -> Tensor:
        """Cloning loss of one batch."""
        loss = self.loss(batch)
        self.log_sparsely({"train_loss": loss.detach()})
        return loss

    def validation_step(self, batch: Transitions, batch_index: int) -> None:
        """The same loss on held-out episodes."""
        self.log("val_loss", self.loss(batch), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine decay over the whole fit."""
        optimizer = torch.optim.AdamW(self.actor.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        return warmup_cosine(optimizer, self.planned_steps())

    def forward(self, observations: Tensor) -> Tensor:
        """(B, K) outputs of the actor for standardised observations (B, D)."""
        return self.actor(observations)

    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions from outputs (B, K); discrete ones are drawn by ``uniform`` (B, K) where given."""
        return self.head.codec.decode(self.head.columns(outputs, uniform))

    def mean(self, states: Tensor) -> Tensor:
        """Differentiable actions (B, A) for [state, goal] columns (B, D), both in the data's units.

        Raises:
            UnsupportedSpaceError: an action is discrete and has no mean.
        """
        if not self.head.continuous:
            raise UnsupportedSpaceError(f"Discrete actions have no mean; {type(self).__name__}.policy() draws them.")
        return self.head.columns(self(self.observer.normalize(states)))
