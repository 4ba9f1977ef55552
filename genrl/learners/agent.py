"""What every downstream learner offers: it fits like any module, and gives a policy."""

from __future__ import annotations

from abc import abstractmethod

from genrl.data.errors import ConfigurationError
from genrl.data.policy import Policy
from genrl.training.module import Trainable


class Agent(Trainable):
    """Anything that learns from episodes how to act."""

    @abstractmethod
    def policy(self, *, together: int = 1) -> Policy:
        """What was learned, as a policy.

        Args:
            together: environments that its networks are asked for at once. With 1 an action has the same bits whatever
                the number of environments; more are faster, and equal to rounding.

        Raises:
            ConfigurationError: nothing was learned yet, or ``together`` is below 1.
        """

    def require_fitted(self) -> None:
        """Refuse to act before a fit.

        Raises:
            ConfigurationError: the agent was never fitted.
        """
        if self.spec is None:
            raise ConfigurationError(f"This {type(self).__name__} was never fitted; fit or load it before it can act.")
