"""A reward that is asked once for each object, and counts how often it was."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from genrl.data.construction import Game
from genrl.gflownets.replay import smallest


class Queries(nn.Module):
    """The reward of a game, with what it said kept in buffers that a checkpoint carries.

    Args:
        game: whose reward it is.
        capacity: objects that are kept; what is beyond is asked for anew each time, and counted so.

    Attributes:
        objects: (C, S) in the order in which they were asked for.
        said: (C,) float64, their rewards.
        asked: () how many rewards the game was asked for.
        lasting: what was asked stays asked when a fit returns to earlier weights, see ``genrl.training.best``.
    """

    lasting: ClassVar[bool] = True

    objects: Tensor
    said: Tensor
    asked: Tensor

    def __init__(self, game: Game, capacity: int) -> None:
        super().__init__()
        self.game, self.capacity = game, capacity
        self.register_buffer("objects", torch.zeros(capacity, game.size, dtype=smallest(game.high)))
        self.register_buffer("said", torch.zeros(capacity, dtype=torch.float64))
        self.register_buffer("asked", torch.zeros((), dtype=torch.int64))
        self._memory: dict[tuple[int, ...], float] = {}

    def __len__(self) -> int:
        return min(int(self.asked), self.capacity)

    def forward(self, objects: Tensor) -> Tensor:
        """(N,) rewards of objects (N, S).

        Raises:
            OracleError: see ``Game.rewards``.
        """
        keys, memory, fresh = _keys(objects), self._remembered(), {}
        new = list(dict.fromkeys(key for key in keys if key not in memory))
        if new:
            unknown = torch.tensor(new, device=objects.device)
            said = self.game.rewards(unknown)
            fresh = dict(zip(new, said.tolist(), strict=True))
            self._keep(unknown, said)
        found = [fresh[key] if key in fresh else memory[key] for key in keys]
        return torch.tensor(found, dtype=torch.float64, device=objects.device)

    def _remembered(self) -> dict[tuple[int, ...], float]:
        """Object -> reward, read anew where the buffers came from a checkpoint."""
        if len(self._memory) != len(self):
            self._memory = dict(zip(_keys(self.objects[: len(self)]), self.said[: len(self)].tolist(), strict=True))
        return self._memory

    def _keep(self, objects: Tensor, said: Tensor) -> None:
        memory, first = self._remembered(), len(self)
        room = min(self.capacity - first, len(objects))
        self.objects[first : first + room] = objects[:room].to(self.objects)
        self.said[first : first + room] = said[:room].to(self.said)
        memory.update(zip(_keys(objects[:room]), said[:room].tolist(), strict=True))
        self.asked += len(objects)


def _keys(objects: Tensor) -> list[tuple[int, ...]]:
    return list(map(tuple, objects.tolist()))
