"""Episodes from plain arrays and dictionaries, without any file."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genrl.data.checks import check
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import AlignmentError, EmptyDatasetError
from genrl.data.inference import infer_space
from genrl.data.spaces import unflatten
from genrl.data.table import Table, episode_arrays

CONTINUITY = 1e-4
"""next_observations[t] and observations[t + 1] may differ by CONTINUITY * (1 + |value|): rounding, not a gap."""


def from_arrays(
    observations: Any,
    actions: Any,
    rewards: Any,
    terminations: Any = None,
    truncations: Any = None,
    *,
    lengths: Sequence[int] | None = None,
    episode_ends: Sequence[int] | None = None,
    infos: Any = None,
    observation_space: gym.Space | None = None,
    action_space: gym.Space | None = None,
    seeds: Sequence[int] | None = None,
    card: DatasetCard | None = None,
    name: str = "arrays",
) -> Episodes:
    """Episodes from arrays, or nested dictionaries and tuples of arrays, of native dtype.

    Either every argument is a list with one entry per episode (T + 1 observations, T of the rest), or all are flat,
    one episode after the other (N + E observations, N of the rest), and ``lengths`` or ``episode_ends`` tell them
    apart.

    Args:
        observations: per episode (T + 1, *shape) leaves, or flat (N + E, *shape).
        actions: (T, *shape) or (N, *shape).
        rewards: (T,) or (N,).
        terminations: (T,) or (N,) bool; none if omitted.
        truncations: (T,) or (N,) bool; if omitted, the end of every episode that does not terminate.
        lengths: (E,) transitions per episode, for flat arrays.
        episode_ends: (E,) transitions up to and including each episode's last, instead of ``lengths``.
        infos: dictionaries of arrays with T or T + 1 rows per episode (flat: N or N + E).
        observation_space: inferred if None, see ``infer_space``.
        action_space: inferred if None.
        seeds: (E,) reset seeds, -1 where unknown.
        card: authorship and environments.
        name: what messages call these data.

    Raises:
        AlignmentError: rows do not line up; the message names episode and leaf.
        EmptyDatasetError, FlagError, NonFiniteError, OutOfSpaceError: see ``check``.
        UnsupportedSpaceError: a leaf is not numeric.
    """
    columns = {"observations": observations, "actions": actions, "rewards": rewards}
    columns |= {"terminations": terminations, "truncations": truncations, "infos": infos}
    if lengths is None and episode_ends is not None:
        lengths = np.diff(np.asarray(episode_ends), prepend=0).tolist()
    parts = _by_episode(columns, name) if lengths is None else _cut(columns, [int(n) for n in lengths], name)
    if not parts:
        raise EmptyDatasetError(f"Data set '{name}' holds no episode; give at least one.")
    observation_space = observation_space or infer_space([part["observations"] for part in parts], where=f"'{name}'")
    action_space = action_space or infer_space([part["actions"] for part in parts], True, f"'{name}'")
    table = Table(len(parts), sum(np.asarray(part["rewards"]).size for part in parts))
    for index, part in enumerate(parts):
        _fill_flags(part)
        table.append(episode_arrays(part, observation_space, action_space, f"Data set '{name}', episode {index}"))
    known = None if seeds is None else torch.as_tensor(seeds, dtype=torch.int64)
    if known is not None and known.shape != (len(parts),):
        raise AlignmentError(f"Data set '{name}' has {len(parts)} episodes and {known.numel()} seeds; give one each.")
    episodes = table.episodes(observation_space, action_space, known, card)
    check(episodes, name)
    return episodes


def from_transitions(
    data: Mapping[str, Any],
    *,
    drop_last: bool = False,
    observation_space: gym.Space | None = None,
    action_space: gym.Space | None = None,
    card: DatasetCard | None = None,
    name: str = "transitions",
) -> Episodes:
    """Episodes from a flat dictionary as D4RL has it.

    An episode ends where ``terminals`` or ``timeouts`` is set (a termination where both are), and at the end of the
    data (a truncation). Its final observation is the last of its ``next_observations``.

    Args:
        data: observations (N, *shape), actions (N, *shape), rewards (N,), terminals (N,) and maybe timeouts (N,) and
            next_observations (N, *shape); observations and actions may be nested. Other keys are ignored.
        drop_last: for data without next_observations: the last row of an episode only gives its final observation, its
            action and reward are left out, and the episode counts as truncated.
        observation_space: inferred if None, see ``infer_space``.
        action_space: inferred if None.
        card: authorship and environments.
        name: what messages call these data.

    Raises:
        AlignmentError: a key is missing, has another number of rows, or a next observation is not the observation of
            the next row of its episode.
        EmptyDatasetError, FlagError, NonFiniteError, OutOfSpaceError: see ``check``.
    """
    _require_columns(data, drop_last, name)
    terminals = np.asarray(data["terminals"]).astype(bool).reshape(-1)
    last = terminals | np.asarray(data.get("timeouts", terminals)).astype(bool).reshape(-1)
    if last.size == 0:
        raise EmptyDatasetError(f"Data set '{name}' holds no transition; give at least one.")
    last[-1] = True
    ends = np.flatnonzero(last) + 1
    lengths = np.diff(ends, prepend=0)
    if "next_observations" in data:
        _map(
            lambda now, after: _require_continuity(now, after, last, name),
            data["observations"],
            data["next_observations"],
        )
        observations = _map(
            lambda now, after: _interleave(now, after, last), data["observations"], data["next_observations"]
        )
        kept, terminations = np.ones_like(last), terminals
    else:
        lone = np.repeat(lengths == 1, lengths)  # a single row holds no transition whose end is known
        observations = _map(lambda now: now[~lone], data["observations"])
        kept, terminations, lengths = ~last, None, lengths[lengths > 1] - 1
    return from_arrays(
        observations,
        _map(lambda leaf: leaf[kept], data["actions"]),
        np.asarray(data["rewards"]).reshape(-1)[kept],
        terminations,
        lengths=lengths.tolist(),
        observation_space=observation_space,
        action_space=action_space,
        card=card,
        name=name,
    )


def to_transitions(episodes: Episodes) -> dict[str, Any]:
    """The flat dictionary that D4RL has and other libraries take, as copies; ``from_transitions`` goes back.

    Returns:
        observations, next_observations and actions (N, *shape), nested as their spaces are; rewards (N,), terminals and
        timeouts (N,) bool, the last two true where an episode terminates, or is cut off.
    """
    rows = episodes.observation_rows
    seen, space = episodes.observations, episodes.observation_space

    def nested(of: gym.Space, leaves: Mapping[str, Any]) -> Any:
        return unflatten(of, {path: leaf.numpy().copy() for path, leaf in leaves.items()})

    return {
        "observations": nested(space, {path: leaf[rows] for path, leaf in seen.items()}),
        "next_observations": nested(space, {path: leaf[rows + 1] for path, leaf in seen.items()}),
        "actions": nested(episodes.action_space, episodes.actions),
        "rewards": episodes.rewards.numpy().copy(),
        "terminals": episodes.terminations.numpy().copy(),
        "timeouts": episodes.truncations.numpy().copy(),
    }


def _map(function: Callable[..., Any], *values: Any) -> Any:
    """``function`` of the leaves of equally nested values, as arrays."""
    if isinstance(values[0], Mapping):
        return {key: _map(function, *(value[key] for value in values)) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(_map(function, *children) for children in zip(*values, strict=True))
    return function(*(np.asarray(value) for value in values))


def _arrays_in(value: Any) -> list[np.ndarray]:
    leaves: list[np.ndarray] = []
    _map(leaves.append, value)
    return leaves


def _by_episode(columns: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Lists with one entry per episode -> one dictionary per episode."""
    given = {key: value for key, value in columns.items() if value is not None}
    for key, value in given.items():
        if not isinstance(value, list | tuple):
            raise AlignmentError(
                f"Data set '{name}': {key} is a {type(value).__name__}, one row after the other; pass lengths or "
                "episode_ends to tell the episodes apart, or lists with one entry per episode."
            )
        if len(value) != len(columns["rewards"]):
            raise AlignmentError(
                f"Data set '{name}': {key} has {len(value)} episodes and rewards {len(columns['rewards'])}; "
                "give one entry per episode in each."
            )
    return [
        {key: _map(np.asarray, value[index]) for key, value in given.items()}
        for index in range(len(columns["rewards"]))
    ]


def _cut(columns: dict[str, Any], lengths: list[int], name: str) -> list[dict[str, Any]]:
    """Flat arrays -> one dictionary of views per episode."""
    transitions, observations = sum(lengths), sum(lengths) + len(lengths)
    if min(lengths, default=1) < 1:
        raise AlignmentError(f"Data set '{name}': an episode has length {min(lengths)}; leave it out.")
    allowed = {"observations": (observations,), "infos": (transitions, observations)}
    for key, value in columns.items():
        rows_of_key = allowed.get(key, (transitions,))
        for array in _arrays_in(value) if value is not None else []:
            if len(array) not in rows_of_key:
                raise AlignmentError(
                    f"Data set '{name}': {key} have {len(array)} rows; {len(lengths)} episodes of together "
                    f"{transitions} transitions need {' or '.join(map(str, rows_of_key))}: T + 1 observations and T of "
                    "the rest per episode. Keep every final observation, or drop the last transitions."
                )
    parts, start = [], 0
    for index, length in enumerate(lengths):

        def rows(array: np.ndarray, start: int = start, index: int = index, length: int = length) -> np.ndarray:
            if len(array) == transitions:
                return array[start : start + length]
            return array[start + index : start + index + length + 1]

        parts.append({key: _map(rows, value) for key, value in columns.items() if value is not None})
        start += length
    return parts


def _fill_flags(part: dict[str, Any]) -> None:
    steps = np.asarray(part["rewards"]).size
    part.setdefault("terminations", np.zeros(steps, bool))
    if "truncations" not in part:
        part["truncations"] = np.zeros(steps, bool)
        part["truncations"][-1:] = ~np.asarray(part["terminations"]).astype(bool).reshape(-1)[-1:]


def _require_columns(data: Mapping[str, Any], drop_last: bool, name: str) -> None:
    missing = [key for key in ("observations", "actions", "rewards", "terminals") if key not in data]
    if missing:
        raise AlignmentError(f"Data set '{name}' lacks {', '.join(missing)}; add them under these names of D4RL's.")
    if "next_observations" not in data and not drop_last:
        raise AlignmentError(
            f"Data set '{name}' has no next_observations, so every episode's final observation is unknown; add them, "
            "or pass drop_last=True to leave out the last transition of each episode."
        )
    rows = np.asarray(data["rewards"]).size
    for key in ("observations", "next_observations", "actions", "terminals", "timeouts"):
        for array in _arrays_in(data[key]) if key in data else []:
            if len(array) != rows:
                raise AlignmentError(
                    f"Data set '{name}': {key} have {len(array)} rows and rewards {rows}; give N of each."
                )


def _require_continuity(now: np.ndarray, after: np.ndarray, last: np.ndarray, name: str) -> None:
    """Inside an episode the next observation is the next row's observation, up to CONTINUITY."""
    inside = np.flatnonzero(~last)
    first, second = after[inside], now[inside + 1]
    if first.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(first - second) > CONTINUITY * (1 + np.abs(second))
    else:
        apart = first != second
    apart = apart.any(axis=tuple(range(1, apart.ndim)))  # (N - E,)
    if apart.any():
        row = int(inside[apart.argmax()])
        raise AlignmentError(
            f"Data set '{name}', row {row} (episode {int(last[:row].sum())}): its next observation is not row "
            f"{row + 1}'s observation ({int(apart.sum())} such rows); mark the end of the episode there in timeouts or "
            "terminals."
        )


def _interleave(now: np.ndarray, after: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(N + E, ...): every episode's observations, then its final one."""
    ends = np.flatnonzero(last)
    return np.insert(now.astype(np.result_type(now, after), copy=False), ends + 1, after[ends], axis=0)
