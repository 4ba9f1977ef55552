"""One episode while it is played."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from genrl.data.environments import Lockstep, StepResult
from genrl.data.episodes import Episodes
from genrl.data.spaces import to_tensors

Rows = defaultdict[str, list[Any]]


class Record:
    """Grows by one transition a step, in the environment at ``slot``; begins with the current observation."""

    def __init__(self, lockstep: Lockstep, slot: int, seed: int) -> None:
        self._lockstep, self._slot, self._seed = lockstep, slot, seed
        self._observations, self._actions, self._infos = Rows(list), Rows(list), Rows(list)
        self._rewards: list[float] = []
        self.terminated = self.truncated = False
        self._append(self._observations, lockstep.observations)

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    def add(self, actions: Mapping[str, np.ndarray], result: StepResult, max_steps: int | None) -> None:
        """The transition that the environment has just made."""
        self._append(self._actions, actions)
        self._append(self._observations, self._lockstep.observations)
        self._rewards.append(result.reward)
        for path, value in _numeric(result.info):
            self._infos[path].append(value)
        self.terminated = result.terminated
        self.truncated = (result.truncated or len(self._rewards) == max_steps) and not result.terminated

    def _append(self, rows: Rows, batch: Mapping[str, np.ndarray]) -> None:
        for path, leaf in batch.items():
            rows[path].append(leaf[self._slot].copy())

    def episode(self) -> Episodes:
        """The finished episode."""
        steps = len(self._rewards)
        last = torch.arange(steps) == steps - 1
        return Episodes(
            observation_space=self._lockstep.observation_space,
            action_space=self._lockstep.action_space,
            observations=to_tensors({path: np.stack(rows) for path, rows in self._observations.items()}),
            actions=to_tensors({path: np.stack(rows) for path, rows in self._actions.items()}),
            rewards=torch.tensor(self._rewards, dtype=torch.float64),
            terminations=last & self.terminated,
            truncations=last & self.truncated,
            lengths=torch.tensor([steps]),
            infos=to_tensors(dict(_complete(self._infos, steps))),
            seeds=torch.tensor([self._seed]),
        )


def _numeric(info: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The numeric values of an info dictionary by path; arrays are copied, for environments reuse them."""
    for key, value in info.items():
        if isinstance(value, Mapping):
            yield from _numeric(value, f"{prefix}{key}/")
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            yield f"{prefix}{key}", value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            yield f"{prefix}{key}", value.copy()


def _complete(infos: Rows, steps: int) -> Iterator[tuple[str, np.ndarray]]:
    """Infos that were given at every step with one shape."""
    for path, rows in infos.items():
        if len(rows) == steps and len({np.shape(row) for row in rows}) == 1:
            yield path, np.asarray(rows)
