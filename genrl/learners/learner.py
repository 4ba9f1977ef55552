"""What every downstream learner offers: it fits like any module, and gives a policy."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import ConfigurationError
from genrl.data.policy import Policy
from genrl.data.spaces import Leaves
from genrl.learners.observer import Observer
from genrl.learners.policy import LearnedPolicy
from genrl.training.module import Trainable


class Learner(Trainable):
    """An offline reinforcement or imitation learner.

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

    def policy(self) -> Policy:
        """The learner as a policy.

        Raises:
            ConfigurationError: the learner was never fitted.
        """
        if self.spec is None:
            raise ConfigurationError(f"This {type(self).__name__} was never fitted; fit or load it before it can act.")
        return LearnedPolicy(self)

    @property
    def updates(self) -> int:
        """Batches that this fit has begun before the present one."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def log_sparsely(self, metrics: dict[str, Tensor]) -> None:
        """Log where the Trainer would write it down; Lightning's bookkeeping costs as much as a small network."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.updates + 1) % every == 0:
            self.log_dict(metrics, prog_bar=True)
