"""Episodes as a table of named columns: one per number of an observation, an action and the reward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from genrl.data.codecs import SpaceCodec
from genrl.data.episodes import Episodes
from genrl.data.errors import AlignmentError
from genrl.data.spaces import Leaves, leaf_spaces


@dataclass(frozen=True)
class Columns:
    """Box entries as they are, categories one-hot; image leaves are left out and named.

    Attributes:
        names: D names such as ``observation[3]``, ``action[0]``, ``action=2`` (a category) and ``reward``; a leaf of a
            name that is taken by another is told by its group too, ``observation/action[0]``.
        categories: D, the value of the category that a column stands for; None for a number's own column.
        rows: (N, D) float32.
        left_out: paths of image leaves that no column stands for.
    """

    names: list[str]
    categories: list[int | None]
    rows: Tensor
    left_out: list[str]

    @property
    def variables(self) -> dict[str, slice]:
        """Name -> its columns: one for a number, one a category for a choice (``action=0``, ``action=1``, ...)."""
        found: dict[str, slice] = {}
        for d, (name, category) in enumerate(zip(self.names, self.categories, strict=True)):
            variable = name if category is None else name.removesuffix(f"={category}")
            found[variable] = slice(found[variable].start if variable in found else d, d + 1)
        return found

    def drawn(self, most: int, seed: int = 0) -> Tensor:
        """The rows, of more than ``most`` so many drawn with ``seed``."""
        if self.rows.shape[0] <= most:
            return self.rows
        return self.rows[torch.randperm(self.rows.shape[0], generator=torch.Generator().manual_seed(seed))[:most]]

    @classmethod
    def of(cls, episodes: Episodes) -> Columns:
        """One row [s_t, a_t, r_t] a transition."""
        states = cls.of_observations(episodes)
        actions = cls._of_leaves(episodes.action_space, episodes.actions, _leaf_names(episodes)["action"])
        rows = torch.cat([states.rows[episodes.observation_rows], actions.rows, episodes.rewards.float()[:, None]], -1)
        names = [*states.names, *actions.names, "reward"]
        categories = [*states.categories, *actions.categories, None]
        return cls(names, categories, rows, [*states.left_out, *actions.left_out])

    @classmethod
    def of_observations(cls, episodes: Episodes) -> Columns:
        """One row s_t an observation, N + E of them."""
        names = _leaf_names(episodes)["observation"]
        return cls._of_leaves(episodes.observation_space, episodes.observations, names)

    @classmethod
    def _of_leaves(cls, space: gym.Space, leaves: Leaves, names: Mapping[str, str]) -> Columns:
        spaces = leaf_spaces(space)
        images = [path for path, leaf in spaces.items() if _is_image(leaf)]
        kept = [path for path in spaces if path not in images]
        rows = next(iter(leaves.values())).shape[0]
        table = SpaceCodec(space, kept).encode(leaves).float() if kept else torch.zeros(rows, 0)
        entries = [entry for path in kept for entry in _entries(spaces[path], names[path])]
        left_out = [names[path] for path in images]
        return cls([name for name, _ in entries], [category for _, category in entries], table, left_out)


def comparable(real: Episodes, synthetic: Episodes) -> tuple[Columns, Columns]:
    """The columns of two data sets with the same spaces.

    Raises:
        AlignmentError: their observation or action spaces have different leaves.
    """
    first, second = Columns.of(real), Columns.of(synthetic)
    if first.names != second.names:
        odd = sorted(set(first.names) ^ set(second.names)) or first.names
        raise AlignmentError(
            "Only data sets with the same spaces can be compared; these differ in " + ", ".join(odd[:5]) + "."
        )
    return first, second


def _leaf_names(episodes: Episodes) -> dict[str, dict[str, str]]:
    """Group -> path of a leaf -> its name, which nothing else in a table of the episodes has."""
    groups = {"observation": episodes.observation_space, "action": episodes.action_space}
    names = {group: {path: path or group for path in leaf_spaces(space)} for group, space in groups.items()}
    taken = Counter(["reward", *(name for group in names.values() for name in group.values())])
    return {
        group: {path: f"{group}/{path}" if path and taken[name] > 1 else name for path, name in leaves.items()}
        for group, leaves in names.items()
    }


def _is_image(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) >= 2


def _entries(space: gym.Space, name: str) -> list[tuple[str, int | None]]:
    """The name of each column that the codec gives the leaf, and the category that it stands for."""
    if isinstance(space, gym.spaces.Discrete):
        return _categories(name, int(space.start), int(space.n))
    if isinstance(space, gym.spaces.MultiDiscrete):
        choices = enumerate(zip(space.start.ravel().tolist(), space.nvec.ravel().tolist(), strict=True))
        return [entry for i, (start, count) in choices for entry in _categories(f"{name}[{i}]", start, count)]
    shape = space.shape or ()  # Box or MultiBinary
    names = [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(shape)] if shape else [name]
    return [(each, None) for each in names]


def _categories(name: str, start: int, count: int) -> list[tuple[str, int | None]]:
    return [(f"{name}={value}", value) for value in range(start, start + count)]
