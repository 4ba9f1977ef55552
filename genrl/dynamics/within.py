"""Dynamics held within the range of their data: where a model was shown nothing, the nearest that it was shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genrl.data.normalizers import NEGLIGIBLE
from genrl.dynamics.altered import Altered
from genrl.dynamics.protocol import Outcome


@dataclass(frozen=True)
class Within(Altered):
    """A ``Dynamics`` whose next states and rewards are moved to the nearest values in a range, column by column.

    A small step out of the range is an error that the next steps would build on, such as a speed above what the
    simulator allows; a reward above all that were seen is one that a search for high returns would find. What lies
    further out than ``slack`` is left as it is, for a rollout to be cut off there.

    Args:
        dynamics: of which these are.
        low, high: (S + 1,) range of the state's columns and of the reward.
        slack: how far out a next state is moved back from, as a share of its column's range.
    """

    low: Tensor
    high: Tensor
    slack: float

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """(S,) lowest and (S,) highest values that are moved back."""
        low, high = self.low[:-1], self.high[:-1]
        reach = self.slack * (high - low) + NEGLIGIBLE * torch.maximum(low.abs(), high.abs())  # rounding is no error
        return low - reach, high + reach

    def step(self, state: Tensor, action: Tensor, noise: Tensor) -> Outcome:
        """One step, see ``Dynamics``."""
        outcome = self.dynamics.step(state, action, noise)
        low, high = self.bounds
        inside = ((outcome.next_state >= low) & (outcome.next_state <= high)).all(-1, keepdim=True)
        held = outcome.next_state.clamp(self.low[:-1], self.high[:-1])
        reward = outcome.reward.clamp(self.low[-1], self.high[-1])
        return replace(outcome, next_state=torch.where(inside, held, outcome.next_state), reward=reward)
