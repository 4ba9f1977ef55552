"""Dynamics made from others of the same sizes."""

from __future__ import annotations

from dataclasses import dataclass

from genrl.dynamics.protocol import Dynamics


@dataclass(frozen=True)
class Altered:
    """The sizes of a ``Dynamics`` that steps as another one does, but for what a subclass alters.

    Args:
        dynamics: the other one.
    """

    dynamics: Dynamics

    @property
    def state_dim(self) -> int:
        """S."""
        return self.dynamics.state_dim

    @property
    def action_dim(self) -> int:
        """A."""
        return self.dynamics.action_dim

    @property
    def noise_dim(self) -> int:
        """K."""
        return self.dynamics.noise_dim
