"""What learned dynamics and simulators have in common: one step for a batch of states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Outcome:
    """What one step leads to, for B rows.

    Attributes:
        next_state: (B, S) in the data's own units.
        reward: (B,).
        terminated: (B,) bool, where nothing follows.
        info: name -> (B,) or (B, ...), whatever else there is to know. Of an ensemble: ``disagreement`` (B,), how far
            its members are apart, and ``member`` (B,) int64, which one predicted.
    """

    next_state: Tensor
    reward: Tensor
    terminated: Tensor
    info: Mapping[str, Tensor] = field(default_factory=dict)


class Dynamics(Protocol):
    """p(s', r, done | s, a).

    Attributes:
        state_dim: S, columns of a state (encoded observation without the desired goal, see ``SpaceCodec``).
        action_dim: A, columns of an action.
        noise_dim: K, standard normal numbers that one step takes; 0 where the next state is certain.
    """

    @property
    def state_dim(self) -> int:
        """S."""

    @property
    def action_dim(self) -> int:
        """A."""

    @property
    def noise_dim(self) -> int:
        """K."""

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step from states (B, S) by actions (B, A), both in the data's own units.

        Args:
            noise: (B, K) standard normal numbers, all the randomness there is; with zeros, the most likely step.
        """
