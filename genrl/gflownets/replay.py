"""Trajectories kept as the actions that lead through them, in buffers that a checkpoint carries."""

from __future__ import annotations

import torch
from gfn.containers import Trajectories
from torch import Tensor, nn

from genrl.data.construction import Game
from genrl.gflownets.paths import trimmed
from genrl.gflownets.sampler import replayed


def actions_of(made: Trajectories) -> Tensor:
    """(N, T) actions, -1 after the exit."""
    return made.actions.tensor[..., 0].T.where(~made.actions.is_dummy.T, -1)


def smallest(highest: int) -> torch.dtype:
    """Whole numbers of 16 bits, or of 32 where ``highest`` is too large for these."""
    return torch.int16 if highest <= torch.iinfo(torch.int16).max else torch.int32


class Replay(nn.Module):
    """The last ``capacity`` trajectories.

    Args:
        game: that they are of.
        capacity: how many.

    Attributes:
        actions: (C, T) whole numbers, -1 after the exit.
        seen: () how many were ever put in.
    """

    actions: Tensor
    seen: Tensor

    def __init__(self, game: Game, capacity: int) -> None:
        super().__init__()
        self.game, self.capacity = game, capacity
        self.register_buffer("actions", torch.full((capacity, game.longest), -1, dtype=smallest(game.actions)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.seen), self.capacity)

    def add(self, actions: Tensor) -> None:
        """Put (N, T) actions in; the oldest make room."""
        count, longest = actions.shape
        rows = (int(self.seen) + torch.arange(count, device=actions.device)) % self.capacity
        self.actions[rows] = -1
        self.actions[rows, :longest] = actions.to(self.actions.dtype)
        self.seen += count

    def draw(self, n: int) -> Tensor:
        """(N, T) actions of trajectories, drawn with replacement by torch's own generator."""
        return trimmed(self.actions[torch.randint(len(self), (n,)).to(self.actions.device)].long())

    def objects(self) -> Tensor:
        """(C, S) the objects that all of them end in, in the order of the buffer."""
        made = replayed(self.game.env, self.actions[: len(self)].long())
        return made.terminating_states.tensor
