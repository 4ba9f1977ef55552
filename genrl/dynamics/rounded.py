"""Dynamics in whole numbers where states are: the next step then goes on from what an episode holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrl.dynamics.altered import Altered
from genrl.dynamics.protocol import Outcome


@dataclass(frozen=True)
class Rounded(Altered):
    """A ``Dynamics`` whose next states are rounded in some columns.

    Args:
        dynamics: of which these are.
        whole: (S,) bool, columns of whole numbers.
    """

    whole: Tensor

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step, see ``Dynamics``."""
        outcome = self.dynamics.step(state, action, noise)
        return replace(outcome, next_state=torch.where(self.whole, outcome.next_state.round(), outcome.next_state))
