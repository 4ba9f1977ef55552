"""Dynamics within the observation space: each step goes on from what an episode holds of the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from genrl.data.codecs import SpaceCodec
from genrl.dynamics.altered import Altered
from genrl.dynamics.protocol import Outcome


@dataclass(frozen=True)
class Held(Altered):
    """A ``Dynamics`` whose next states are those that the space holds: within its bounds, and whole where it is.

    Args:
        dynamics: of which these are.
        codec: of the observations, columns (S,).
    """

    codec: SpaceCodec

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step, see ``Dynamics``."""
        outcome = self.dynamics.step(state, action, noise)
        return replace(outcome, next_state=self.codec.encode(self.codec.decode(outcome.next_state)))
