"""What samplers hand out: frozen records of tensors with B rows each."""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors with B rows each."""

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same batch on another device."""
        moved = {f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)}
        return replace(self, **moved)


@dataclass(frozen=True)
class Transitions(Batch):
    """(s, a, r, s') and whether s' is terminal.

    Attributes:
        observations, next_observations: (B, Do).
        actions: (B, Da).
        rewards: (B,).
        terminated: (B,) 1 where nothing follows, else 0: learners bootstrap with 1 - terminated, so also where an
            episode was merely cut off.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminated: Tensor

    def with_goals(self, goals: Tensor) -> "GoalTransitions":
        """The same transitions, each with a goal."""
        return GoalTransitions(**vars(self), goals=goals)


@dataclass(frozen=True)
class GoalTransitions(Transitions):
    """Transitions with goals (B, G) from the future of the same episode."""

    goals: Tensor


@dataclass(frozen=True)
class Windows(Batch):
    """Consecutive rows of one episode each.

    Attributes:
        rows: (B, H, D).
        mask: (B, H) bool, false where an episode has ended and its last row is repeated.
    """

    rows: Tensor
    mask: Tensor

    def with_goals(self, goals: Tensor) -> "GoalWindows":
        """The same windows, each with a goal."""
        return GoalWindows(**vars(self), goals=goals)


@dataclass(frozen=True)
class GoalWindows(Windows):
    """Windows with goals (B, G) from the future of the same episode."""

    goals: Tensor
