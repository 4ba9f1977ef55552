"""Episodes of numpy arrays, put one after the other into tensors that are allocated once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import AlignmentError, UnsupportedSpaceError
from genrl.data.spaces import flatten, leaf_spaces, same_form, to_tensors

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class EpisodeArrays:
    """One episode of T transitions as numpy leaves, aligned: T + 1 observations, T of everything else.

    ``infos`` keeps what is numeric and has T or T + 1 rows.
    """

    observations: Arrays
    actions: Arrays
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    infos: Arrays


def episode_arrays(
    fields: Mapping[str, Any], observation_space: gym.Space, action_space: gym.Space, where: str
) -> EpisodeArrays:
    """Take an episode apart into leaves and line it up.

    Args:
        fields: observations, actions, rewards, terminations, truncations and maybe infos, as Minari gives them.
        observation_space: of the observations.
        action_space: of the actions.
        where: what a message calls this episode.

    Raises:
        AlignmentError: not T + 1 observations to T actions, rewards and flags, or T is 0.
        UnsupportedSpaceError: a leaf is not numeric or has rows of another shape than its space.
    """
    rewards = native(fields["rewards"], "rewards", where).reshape(-1)
    steps = len(rewards)
    if steps == 0:
        raise AlignmentError(f"{where} has no transition; leave it out.")
    flags = {}
    for name in ("terminations", "truncations"):
        flags[name] = native(fields[name], name, where).reshape(-1).astype(bool)
        _require_rows(flags[name], steps, steps, name, where)
    return EpisodeArrays(
        observations=_leaves(fields["observations"], observation_space, steps, 1, "observation", where),
        actions=_leaves(fields["actions"], action_space, steps, 0, "action", where),
        rewards=rewards if rewards.dtype.kind == "f" else rewards.astype(np.float64),
        terminations=flags["terminations"],
        truncations=flags["truncations"],
        infos=dict(_numeric_infos(fields.get("infos") or {}, steps, ())),
    )


def native(values: Any, what: str, where: str) -> np.ndarray:
    """A numeric array in the byte order of this machine, its dtype otherwise untouched.

    Raises:
        UnsupportedSpaceError: the values are not numbers (or not of one shape).
    """
    array = np.asarray(values)
    if not numeric(array):
        raise UnsupportedSpaceError(
            f"{where}: {what} has dtype {array.dtype}, which no tensor can hold; convert it to numbers of one shape."
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def numeric(array: np.ndarray) -> bool:
    """Whether a tensor can hold it: bool, integer or float of at most 8 bytes."""
    return array.dtype.kind in "biuf" and array.dtype.itemsize <= 8


def _leaves(value: Any, space: gym.Space, steps: int, extra: int, kind: str, where: str) -> Arrays:
    try:
        parts = flatten(space, value)
    except AlignmentError as error:
        raise AlignmentError(f"{where}: the {kind}s do not have the leaves {list(leaf_spaces(space))}.") from error
    leaves = {}
    for path, leaf in leaf_spaces(space).items():
        what = f"{kind} {path!r}"
        array, shape = np.atleast_1d(parts[path]), leaf.shape or ()
        fits = same_form(array.shape[1:], shape) or len(array) == 0  # nothing to mix up; the rows are counted below
        if not fits or (leaf.dtype == np.uint8 and not numeric(array)):
            bytewise = leaf.dtype == np.uint8 and array.ndim < 3 <= len(shape) + 1
            jpeg = "; if Minari wrote it, it is JPEG, from which its values cannot be restored" if bytewise else ""
            raise UnsupportedSpaceError(
                f"{where}: {what} comes as rows of shape {array.shape[1:]} and dtype {array.dtype} where its space has "
                f"{shape} and {leaf.dtype}{jpeg}. Write the data again in the space's form, or leave this leaf out."
            )
        array = native(array, what, where)
        _require_rows(array, steps + extra, steps, what, where)
        leaves[path] = array.reshape(len(array), *shape)
    return leaves


def _require_rows(array: np.ndarray, expected: int, steps: int, what: str, where: str) -> None:
    rows = len(array) if array.ndim else 0
    if rows != expected:
        raise AlignmentError(
            f"{where}: {what} has {rows} rows where {steps} rewards need {expected}: an episode of T transitions has "
            "T + 1 observations and T actions, rewards and flags. Keep the final observation, or drop the last "
            "transition."
        )


def _numeric_infos(infos: Any, steps: int, path: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    children = infos.items() if isinstance(infos, Mapping) else enumerate(infos)
    for key, value in children:
        below = (*path, str(key))
        if isinstance(value, Mapping | tuple):
            yield from _numeric_infos(value, steps, below)
        elif isinstance(value, np.ndarray) and value.ndim and len(value) in (steps, steps + 1) and numeric(value):
            yield "/".join(below), native(value, f"info {'/'.join(below)!r}", "")


class Column:
    """Rows of one leaf in an array that is allocated once, at its full length."""

    def __init__(self, capacity: int, like: np.ndarray) -> None:
        self.rows = np.empty((capacity, *like.shape[1:]), like.dtype)
        self.filled = 0

    def append(self, part: np.ndarray) -> None:
        """Copy ``part`` behind what is there; a wider dtype widens the whole column."""
        if part.dtype != self.rows.dtype:
            self.rows = self.rows.astype(np.result_type(self.rows, part), copy=False)
        self.rows[self.filled : self.filled + len(part)] = part
        self.filled += len(part)


class Table:
    """Collects a known number of episodes and transitions; peak memory is the data itself and one episode."""

    def __init__(self, episodes: int, transitions: int) -> None:
        self.capacity = {0: transitions, 1: transitions + episodes}
        self.lengths: list[int] = []
        self._columns: dict[str, dict[str, Column]] = {"observations": {}, "actions": {}, "infos": {}, "flat": {}}
        self._info_extra: dict[str, int] = {}

    def append(self, episode: EpisodeArrays) -> None:
        """Add one episode; infos stay only as long as every episode has them in the same form."""
        self._put("observations", episode.observations, 1)
        self._put("actions", episode.actions, 0)
        flat = {name: getattr(episode, name) for name in ("rewards", "terminations", "truncations")}
        self._put("flat", flat, 0)
        self._put_infos(episode)
        self.lengths.append(len(episode.rewards))

    def _put(self, group: str, leaves: Arrays, extra: int) -> None:
        columns = self._columns[group]
        for path, leaf in leaves.items():
            if path not in columns:
                columns[path] = Column(self.capacity[extra], leaf)
            columns[path].append(leaf)

    def _put_infos(self, episode: EpisodeArrays) -> None:
        columns, steps = self._columns["infos"], len(episode.rewards)
        if not self.lengths:
            self._info_extra = {path: len(leaf) - steps for path, leaf in episode.infos.items()}
            columns |= {
                path: Column(self.capacity[self._info_extra[path]], leaf) for path, leaf in episode.infos.items()
            }
        for path in list(columns):
            leaf = episode.infos.get(path)
            same = leaf is not None and len(leaf) - steps == self._info_extra[path]
            if leaf is None or not same or leaf.shape[1:] != columns[path].rows.shape[1:]:
                del columns[path]
            else:
                columns[path].append(leaf)

    def episodes(
        self,
        observation_space: gym.Space,
        action_space: gym.Space,
        seeds: torch.Tensor | None = None,
        card: DatasetCard | None = None,
    ) -> Episodes:
        """What was collected, without a copy."""
        tensors = {
            group: to_tensors({path: column.rows[: column.filled] for path, column in columns.items()})
            for group, columns in self._columns.items()
        }
        return Episodes(
            observation_space,
            action_space,
            observations=tensors["observations"],
            actions=tensors["actions"],
            **tensors["flat"],
            lengths=torch.tensor(self.lengths, dtype=torch.int64),
            infos=tensors["infos"],
            seeds=seeds,
            card=card or DatasetCard(),
        )
