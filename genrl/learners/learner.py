"""What learners offer whose policy looks at one observation at a time."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.policy import Policy
from genrl.data.spaces import Leaves
from genrl.learners.agent import Agent
from genrl.learners.observer import Observer
from genrl.learners.policy import LearnedPolicy


class Learner(Agent):
    """An offline reinforcement or imitation learner whose action depends on the present observation alone.

    Attributes:
        observer: how observations become the columns that ``forward`` takes.
        stochastic: whether actions are drawn where no deterministic ones are asked for.
    """

    observer: Observer
    stochastic: bool

    def statistics(self, episodes: Episodes) -> None:
        """Fit the standardisation of the observations."""
        self.observer.fit(episodes.observations)

    @abstractmethod
    def forward(self, observations: Tensor) -> Tensor:
        """What the actor says, (B, K), about standardised observations (B, D)."""

    @abstractmethod
    def decide(self, outputs: Tensor, uniform: Tensor | None) -> Leaves:
        """Actions of native dtype, inside the space, from what the actor said.

        Args:
            outputs: (B, K).
            uniform: (B, K) numbers in [0, 1) that decide by inverse transform sampling; None for the mode.
        """

    def policy(self, *, together: int = 1) -> Policy:
        """The learner as a policy; for ``together`` see ``Agent``.

        Raises:
            ConfigurationError: the learner was never fitted, or ``together`` is below 1.
        """
        self.require_fitted()
        return LearnedPolicy(self, together)
