"""Supervised learning of actions given the return that followed: the part that RvS and Decision Transformer share."""

from __future__ import annotations

import math
from abc import abstractmethod

from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.return_windows import ReturnWindows, ReturnWindowSampler
from genrl.learners.agent import Agent
from genrl.learners.heads import ActionHead
from genrl.learners.observer import Observer
from genrl.learners.return_policy import ReturnPolicy
from genrl.learners.returns import Returns, require_different_returns
from genrl.learners.sequence import masked_mean
from genrl.training.spec import DataSpec


class ReturnConditioned(Agent):
    """Clones the action of every step given the undiscounted return to go: squared error, or cross-entropy.

    Returns to go are those of whole episodes, so the training episodes must not be fragments of longer ones.

    Attributes:
        context: K, steps that an action may depend on.
    """

    context: int

    @abstractmethod
    def forward(self, window: ReturnWindows) -> Tensor:
        """(B, K, O) outputs for the action of every step, from that step and those before it."""

    def build(self, spec: DataSpec) -> None:
        """Observer, action head and scale of the returns; subclasses add their network."""
        self.observer = Observer(spec)
        self.head = ActionHead(spec.action_space)
        self.returns = Returns()

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of observations, continuous actions and returns, and find the best return.

        Raises:
            ConfigurationError: all returns are equal.
        """
        require_different_returns(type(self).__name__, episodes)
        self.observer.fit(episodes.observations)
        self.head.fit(episodes.actions)
        self.returns.fit(episodes)

    def take_up(self, episodes: Episodes) -> None:
        """Also the best return."""
        super().take_up(episodes)
        self.returns.aim(episodes)

    def sampler(self, episodes: Episodes) -> ReturnWindowSampler:
        """The window that begins at each transition."""
        return ReturnWindowSampler(
            self.observer(episodes.observations),
            self.head.codec.encode(episodes.actions),
            self.returns(episodes.returns_to_go()),
            episodes,
            self.context,
        )

    def loss(self, batch: ReturnWindows) -> Tensor:
        """Mean distance between the actions and the data's, over all steps."""
        outputs = self(batch)
        each = self.head.loss(outputs.flatten(0, 1), batch.actions.flatten(0, 1))  # (B K,)
        return masked_mean(each.view(batch.mask.shape), batch.mask)

    def training_step(self, batch: ReturnWindows, batch_index: int) -> Tensor:
        """The loss of one batch."""
        loss = self.loss(batch)
        self.log_sparsely({"train_loss": loss.detach()})
        return loss

    def validation_step(self, batch: ReturnWindows, batch_index: int) -> None:
        """The same on held-out episodes."""
        self.log("val_loss", self.loss(batch), prog_bar=True)

    def policy(self, target_return: float | None = None, together: int = 1) -> ReturnPolicy:
        """The learner as a policy that aims at a return, lowered by the rewards that it is told.

        Args:
            target_return: undiscounted return of a whole episode, in the data's units; the best one of the training
                episodes by default. ``Conditions(returns=...)`` overrides it when acting, per environment.
            together: see ``Agent``.

        Raises:
            ConfigurationError: the learner was never fitted, the target is not finite, or ``together`` is below 1.
        """
        self.require_fitted()
        target = self.returns.best.item() if target_return is None else float(target_return)
        if not math.isfinite(target):
            raise ConfigurationError(f"A policy aims at a finite return, not {target}.")
        return ReturnPolicy(self, target, together)
