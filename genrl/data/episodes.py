"""Episodes in memory: the one data structure that every method, learner and writer of genrl shares."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from genrl.data.errors import AlignmentError, EmptyDatasetError
from genrl.data.spaces import Leaves


@dataclass(frozen=True)
class DatasetCard:
    """Who made a data set, from what, for which environment: everything Minari's metadata holds.

    ``env_spec`` and ``eval_env_spec`` are Gymnasium environment specifications as JSON; reference scores are raw
    undiscounted returns, each the mean over ``num_episodes_average_score`` episodes where that is known.
    """

    dataset_id: str | None = None
    env_spec: str | None = None
    eval_env_spec: str | None = None
    algorithm_name: str | None = None
    author: tuple[str, ...] = ()
    author_email: tuple[str, ...] = ()
    code_permalink: str | None = None
    description: str | None = None
    ref_min_score: float | None = None
    ref_max_score: float | None = None
    requirements: tuple[str, ...] = ()
    num_episodes_average_score: int | None = None

    def __post_init__(self) -> None:
        for name in ("author", "author_email", "requirements"):
            several = getattr(self, name)
            object.__setattr__(self, name, (several,) if isinstance(several, str) else tuple(several))
        for name in ("ref_min_score", "ref_max_score", "num_episodes_average_score"):
            number = getattr(self, name)
            object.__setattr__(self, name, number.item() if isinstance(number, np.generic) else number)


@dataclass(frozen=True, eq=False)
class Episodes:
    """E episodes with N transitions in contiguous tensors of native dtype.

    Episode e has T_e transitions and T_e + 1 observations; its observations are the rows
    ``observation_starts[e] .. observation_starts[e] + T_e`` and its transitions the rows
    ``transition_starts[e] .. transition_starts[e] + T_e - 1``.

    Attributes:
        observations: leaf path -> (N + E, *shape).
        actions: leaf path -> (N, *shape).
        rewards: (N,) floating point.
        terminations, truncations: (N,) bool; exactly one of the two is set on the last transition of each episode.
        lengths: (E,) int64, T_e >= 1.
        infos: leaf path -> (N, *shape) or (N + E, *shape).
        seeds: (E,) int64 reset seeds, -1 where unknown; None if no episode has one.
    """

    observation_space: gym.Space
    action_space: gym.Space
    observations: Leaves
    actions: Leaves
    rewards: Tensor
    terminations: Tensor
    truncations: Tensor
    lengths: Tensor
    infos: Leaves = field(default_factory=dict)
    seeds: Tensor | None = None
    card: DatasetCard = DatasetCard()

    def __len__(self) -> int:
        return self.lengths.numel()

    @property
    def num_transitions(self) -> int:
        """N, the number of transitions."""
        return self.rewards.shape[0]

    @cached_property
    def transition_starts(self) -> Tensor:
        """(E,) row of each episode's first transition."""
        return torch.cumsum(self.lengths, 0) - self.lengths

    @cached_property
    def observation_starts(self) -> Tensor:
        """(E,) row of each episode's first observation."""
        return self.transition_starts + torch.arange(len(self))

    @cached_property
    def episode_of_transition(self) -> Tensor:
        """(N,) index of the episode that each transition belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.lengths)

    @cached_property
    def observation_rows(self) -> Tensor:
        """(N,) row in ``observations`` of s_t for each transition; s_{t+1} is the next row."""
        return torch.arange(self.num_transitions) + self.episode_of_transition

    @cached_property
    def returns(self) -> Tensor:
        """(E,) undiscounted sum of rewards, float64."""
        sums = torch.zeros(len(self), dtype=torch.float64)
        return sums.index_add_(0, self.episode_of_transition, self.rewards.double())

    def returns_to_go(self, discount: float = 1.0) -> Tensor:
        """(N,) float64: reward from each transition to the end of its whole source episode."""
        if discount == 1.0:
            total = torch.cumsum(self.rewards.double(), 0)
            last = total[self.transition_starts + self.lengths - 1]
            return last[self.episode_of_transition] - total + self.rewards.double()
        togo = self.rewards.double().clone()
        running = torch.zeros(len(self), dtype=torch.float64)
        for back in range(max(self.lengths.tolist(), default=0)):  # all episodes at once, from their last step
            alive = (self.lengths > back).nonzero().squeeze(-1)
            rows = self.transition_starts[alive] + self.lengths[alive] - 1 - back
            running[alive] = togo[rows] + discount * running[alive]
            togo[rows] = running[alive]
        return togo

    def select(self, index: Tensor | Sequence[int]) -> Episodes:
        """The episodes at ``index`` (positions, or a mask over all episodes), copied into new contiguous tensors.

        Raises:
            IndexError: an index is out of range.
        """
        index = torch.as_tensor(index)
        index = index.nonzero().squeeze(-1) if index.dtype == torch.bool else index.to(torch.int64)
        return self._taken(index, self.lengths[index])

    def cut(self, lengths: Tensor) -> Episodes:
        """The first ``lengths`` (E,) transitions of each episode; flags and infos are as they were there."""
        return self._taken(torch.arange(len(self)), lengths)

    def _taken(self, index: Tensor, lengths: Tensor) -> Episodes:
        transitions = ranges(self.transition_starts[index], lengths)
        observations = ranges(self.observation_starts[index], lengths + 1)

        def rows(leaf: Tensor) -> Tensor:
            return leaf[transitions if leaf.shape[0] == self.num_transitions else observations]

        return replace(
            self,
            observations={path: leaf[observations] for path, leaf in self.observations.items()},
            actions={path: leaf[transitions] for path, leaf in self.actions.items()},
            rewards=self.rewards[transitions],
            terminations=self.terminations[transitions],
            truncations=self.truncations[transitions],
            lengths=lengths,
            infos={path: rows(leaf) for path, leaf in self.infos.items()},
            seeds=None if self.seeds is None else self.seeds[index],
        )

    def __getitem__(self, index: int | slice) -> Episodes:
        """One episode (or a slice of them) as Episodes."""
        everything = range(len(self))
        return self.select(everything[index] if isinstance(index, slice) else [everything[operator.index(index)]])

    def __iter__(self) -> Iterator[Episodes]:
        """Each episode by itself."""
        return (self[index] for index in range(len(self)))


def concatenate(parts: Sequence[Episodes]) -> Episodes:
    """All episodes of ``parts`` one after the other; spaces and card are those of the first part.

    Infos that not every part has in the same form are left out. Unknown seeds become -1.

    Raises:
        EmptyDatasetError: there is no part.
        AlignmentError: the parts have different observation or action leaves.
    """
    if not parts:
        raise EmptyDatasetError("There is nothing to concatenate: give at least one part.")
    first = parts[0]
    parts = [part for part in parts if len(part)] or [first]
    for number, part in enumerate(parts):
        if _layout(part) != _layout(first):
            raise AlignmentError(
                f"Part {number} has the leaves {_layout(part)} and part 0 has {_layout(first)}; "
                "concatenate only episodes of the same observations and actions."
            )

    def joined(leaves: Sequence[Leaves]) -> Leaves:
        return {path: torch.cat([leaf[path] for leaf in leaves]) for path in leaves[0]}

    forms = [_info_forms(part) for part in parts]
    shared = [path for path, form in forms[0].items() if all(other.get(path) == form for other in forms)]
    seeds = None
    if any(part.seeds is not None for part in parts):
        seeds = torch.cat([torch.full((len(p),), -1) if p.seeds is None else p.seeds for p in parts])
    return replace(
        first,
        observations=joined([part.observations for part in parts]),
        actions=joined([part.actions for part in parts]),
        rewards=torch.cat([part.rewards for part in parts]),
        terminations=torch.cat([part.terminations for part in parts]),
        truncations=torch.cat([part.truncations for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
        infos=joined([{path: part.infos[path] for path in shared} for part in parts]),
        seeds=seeds,
    )


def _layout(part: Episodes) -> dict[str, tuple[int, ...]]:
    """Shape of one row of every observation and action leaf."""
    leaves = {f"observations/{path}": leaf for path, leaf in part.observations.items()}
    leaves |= {f"actions/{path}": leaf for path, leaf in part.actions.items()}
    return {path: tuple(leaf.shape[1:]) for path, leaf in leaves.items()}


def _info_forms(part: Episodes) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Of every info: its rows per episode beyond T_e (0 or 1) and the shape of one row."""
    extra = {part.num_transitions: 0, part.num_transitions + len(part): 1}
    return {path: (extra[leaf.shape[0]], tuple(leaf.shape[1:])) for path, leaf in part.infos.items()}


def split(episodes: Episodes, fraction: float, seed: int) -> tuple[Episodes, Episodes]:
    """Split by whole episodes: (1 - fraction) for training and the rest, at least one of each if there are two."""
    order = torch.randperm(len(episodes), generator=torch.Generator().manual_seed(seed))
    held_out = min(max(round(fraction * len(episodes)), 1 if fraction > 0 else 0), len(episodes) - 1)
    return episodes.select(order[held_out:].sort().values), episodes.select(order[:held_out].sort().values)


def ranges(starts: Tensor, lengths: Tensor) -> Tensor:
    """Concatenation of start .. start + length - 1 over all pairs."""
    ends = torch.cumsum(lengths, 0)
    offsets = torch.repeat_interleave(starts - (ends - lengths), lengths)
    return offsets + torch.arange(int(lengths.sum()))
