"""One episode while it is played."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from genrl.data.environments import Lockstep, StepResult
from genrl.data.episodes import Episodes
from genrl.data.spaces import enclosing, to_tensors
from genrl.data.table import native, numeric

NumpyLeaves = Mapping[str, np.ndarray]
SUCCESS_INFOS = ("success", "is_success")
"""Infos that are false at steps where an environment is silent: many tell of success at the end of an episode alone."""


class Record:
    """Grows by one transition a step, in the environment at ``slot``; begins with its current observation.

    Batches are kept as they come, B rows each, and cut to the episode's own row at the end: nothing may write to them.
    """

    def __init__(self, lockstep: Lockstep, slot: int, seed: int) -> None:
        self._lockstep, self._slot, self._seed = lockstep, slot, seed
        self._observations: list[NumpyLeaves] = [lockstep.snapshot()]
        self._actions: list[NumpyLeaves] = []
        self._rewards: list[float] = []
        self._infos: defaultdict[str, list[Any]] = defaultdict(list)
        self.terminated = self.truncated = False

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    def add(
        self,
        actions: NumpyLeaves,
        beside: NumpyLeaves,
        result: StepResult,
        after: NumpyLeaves,
        max_steps: int | None,
    ) -> None:
        """One transition.

        Args:
            actions: the batch of actions.
            beside: what the policy told beside, name -> (B, ...).
            result: what the environment answered.
            after: the batch of observations after.
            max_steps: an episode that is still running after so many steps is truncated.
        """
        self._actions.append(actions)
        self._observations.append(after)
        self._rewards.append(result.reward)
        for path, value in _numbers({**result.info, **{name: rows[self._slot] for name, rows in beside.items()}}):
            rows = self._infos[path]
            if path in SUCCESS_INFOS:
                rows.extend([np.zeros_like(value)] * (len(self._rewards) - 1 - len(rows)))
            rows.append(value)
        self.terminated = result.terminated
        self.truncated = (result.truncated or len(self._rewards) == max_steps) and not result.terminated

    def episode(self) -> Episodes:
        """The finished episode."""
        steps = len(self._rewards)
        last = torch.arange(steps) == steps - 1
        for path in self._infos.keys() & {*SUCCESS_INFOS}:
            rows = self._infos[path]
            rows.extend([np.zeros_like(rows[0])] * (steps - len(rows)))
        return Episodes(
            observation_space=self._lockstep.observation_space,
            action_space=self._lockstep.action_space,
            observations=to_tensors(self._own(self._observations)),
            actions=to_tensors(self._own(self._actions)),
            rewards=torch.tensor(self._rewards, dtype=torch.float64),
            terminations=last & self.terminated,
            truncations=last & self.truncated,
            lengths=torch.tensor([steps]),
            infos=to_tensors(_storable(dict(_complete(self._infos, steps)))),
            seeds=torch.tensor([self._seed]),
        )

    def _own(self, batches: list[NumpyLeaves]) -> dict[str, np.ndarray]:
        """Leaf path -> (rows, *shape) of this episode's environment."""
        row = slice(self._slot, self._slot + 1)
        return {path: np.concatenate([batch[path][row] for batch in batches]) for path in batches[0]}


def _numbers(info: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The numeric values of an info dictionary by path; arrays are copied, for environments reuse them."""
    for key, value in info.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            yield f"{prefix}{key}", value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            yield f"{prefix}{key}", value.copy()


def _complete(infos: Mapping[str, list[Any]], steps: int) -> Iterator[tuple[str, np.ndarray]]:
    """Infos that were given at every step with one shape, as numbers that a tensor can hold."""
    for path, rows in infos.items():
        if len(rows) == steps and len({np.shape(row) for row in rows}) == 1 and numeric(values := np.asarray(rows)):
            yield path, native(values, path, "infos")


def _storable(infos: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The infos under names that files can hold: not "", and "reward.ctrl" instead of "reward/ctrl" beside "reward"."""
    named: dict[str, np.ndarray] = {}
    for path, rows in infos.items():
        if name := "/".join(part for part in path.split("/") if part not in ("", ".")):
            named.setdefault(name, rows)
    return {name.replace("/", ".") if enclosing(name, named) else name: rows for name, rows in named.items()}
