"""What every downstream learner offers: it fits like any module, and gives a policy."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from genrl.data.errors import ConfigurationError
from genrl.data.policy import Policy
from genrl.training.module import Trainable


class Agent(Trainable):
    """Anything that learns from episodes how to act."""

    @abstractmethod
    def policy(self) -> Policy:
        """What was learned, as a policy.

        Raises:
            ConfigurationError: nothing was learned yet.
        """

    def require_fitted(self) -> None:
        """Refuse to act before a fit.

        Raises:
            ConfigurationError: the agent was never fitted.
        """
        if self.spec is None:
            raise ConfigurationError(f"This {type(self).__name__} was never fitted; fit or load it before it can act.")

    @property
    def updates(self) -> int:
        """Batches that this fit has begun before the present one."""
        return self.trainer.fit_loop.epoch_loop.total_batch_idx

    def log_sparsely(self, metrics: dict[str, Tensor]) -> None:
        """Log where the Trainer would write it down; Lightning's bookkeeping costs as much as a small network."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.updates + 1) % every == 0:
            self.log_dict(metrics, prog_bar=True)
