"""What one-step models predict beside ends: the change of state and the reward, and which of these vary at all."""

from __future__ import annotations

import torch
from torch import Tensor

from genrl.data.normalizers import NEGLIGIBLE


def changes(states: Tensor, next_states: Tensor, rewards: Tensor) -> Tensor:
    """(..., S + 1) changes of states (..., S), and the rewards (...) beside them."""
    return torch.cat((next_states - states, rewards[..., None]), dim=-1)


def varying(states: Tensor, next_states: Tensor, rewards: Tensor, known: Tensor | None = None) -> Tensor:
    """(S + 1,) which of the ``changes`` of N transitions differ by more than rounding, from each other or ``known``.

    Args:
        known: (S + 1,) what they have been so far.
    """
    targets = changes(states, next_states, rewards)
    size = torch.cat((states, rewards[:, None]), dim=-1).abs().amax(0)  # a difference is as exact as its terms
    low, high = targets.amin(0), targets.amax(0)
    if known is not None:
        low, high, size = torch.minimum(low, known), torch.maximum(high, known), torch.maximum(size, known.abs())
    return high - low > NEGLIGIBLE * size
