"""What every downstream learner offers: it fits like any module, and gives a policy."""

from __future__ import annotations

from abc import abstractmethod

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
