"""What a sound data set is: shapes, alignment, end flags, finite values, values inside their spaces."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import (
    AlignmentError,
    DatasetError,
    EmptyDatasetError,
    FlagError,
    NonFiniteError,
    OutOfSpaceError,
)
from genrl.data.spaces import Leaves, bounds, leaf_spaces

SLACK = 1e-5
"""Float actions may exceed a bound b by SLACK * max(1, |b|): rounding between float32 and float64, not a mistake."""


def check(episodes: Episodes, name: str, first: int = 0) -> None:
    """Refuse an unsound data set; a few passes over the data, without a copy of it.

    Args:
        episodes: the data.
        name: what the message calls the data set.
        first: number of the first episode, where ``episodes`` is a part of something longer.

    Raises:
        EmptyDatasetError: there is no transition.
        AlignmentError: rows do not add up to T transitions and T + 1 observations in every episode.
        FlagError: an end flag is missing, doubled, or in the middle of an episode.
        NonFiniteError: an observation, action or reward is NaN or infinite.
        OutOfSpaceError: an action, or a discrete observation, lies outside its space or has another shape.
    """
    for problem in problems(episodes, name, first):
        raise problem


def problems(episodes: Episodes, name: str, first: int = 0) -> Iterator[DatasetError]:
    """Everything that ``check`` would refuse, the first place of each kind; nothing else if the rows do not add up."""
    if len(episodes) == 0 or episodes.rewards.numel() == 0:
        yield EmptyDatasetError(f"Data set '{name}' holds no transition; collect or generate some episodes first.")
        return
    structural = list(_structure(episodes, f"Data set '{name}'"))
    yield from structural
    if structural:
        return
    places = _Places(episodes, name, first)
    yield from _flags(episodes, places)
    yield from _finite(episodes, places)
    yield from _inside(episodes, places)


def mend_flags(episodes: Episodes) -> Episodes:
    """One end flag per episode: a last step without any is a truncation; where both are set the termination stays.

    Flags in the middle of an episode are left for ``check`` to refuse.
    """
    last = episodes.transition_starts + episodes.lengths - 1
    terminations, truncations = episodes.terminations, episodes.truncations.clone()
    truncations[last] = ~terminations[last]
    return replace(episodes, truncations=truncations & ~terminations)


class _Places:
    """Turns rows back into sentences: which data set, episode and step."""

    def __init__(self, episodes: Episodes, name: str, first: int) -> None:
        self.starts = {0: episodes.transition_starts, 1: episodes.observation_starts}
        self.name, self.first = name, first

    def __call__(self, row: int, extra: int) -> str:
        """Where ``row`` is, of a leaf with T + ``extra`` rows per episode."""
        episode = int(torch.searchsorted(self.starts[extra], row, right=True)) - 1
        step = row - int(self.starts[extra][episode])
        return f"Data set '{self.name}', episode {self.first + episode}, step {step}"


def _structure(episodes: Episodes, who: str) -> Iterator[DatasetError]:
    shortest, transitions = int(episodes.lengths.min()), int(episodes.lengths.sum())
    if shortest < 1:
        yield AlignmentError(f"{who}, episode {int(episodes.lengths.argmin())} has length {shortest}; leave it out.")
    for what, flat in (("rewards", episodes.rewards), ("terminations", episodes.terminations)):
        yield from _rows(flat, transitions, what, who)
    yield from _rows(episodes.truncations, transitions, "truncations", who)
    actions, observations = leaf_spaces(episodes.action_space), leaf_spaces(episodes.observation_space)
    yield from _leaves(episodes.actions, actions, transitions, "action", who)
    yield from _leaves(episodes.observations, observations, transitions + len(episodes), "observation", who)
    for path, leaf in episodes.infos.items():
        if leaf.shape[0] not in (transitions, transitions + len(episodes)):
            yield AlignmentError(
                f"{who}: info '{path}' has {leaf.shape[0]} rows; T or T + 1 per episode are {transitions} or "
                f"{transitions + len(episodes)} rows. Leave it out or fill the gaps."
            )


def _rows(flat: Tensor, expected: int, what: str, who: str) -> Iterator[DatasetError]:
    if tuple(flat.shape) != (expected,):
        yield AlignmentError(
            f"{who}: {what} have shape {tuple(flat.shape)} where the lengths of the episodes add up to ({expected},); "
            "give one value per transition."
        )


def _leaves(
    leaves: Leaves, spaces: Mapping[str, gym.Space], expected: int, kind: str, who: str
) -> Iterator[DatasetError]:
    if set(leaves) != set(spaces):
        yield AlignmentError(
            f"{who}: the {kind} leaves are {sorted(leaves)} and the space has {sorted(spaces)}; give exactly those."
        )
        return
    per_episode = "T + 1 observations" if kind == "observation" else "T actions"
    for path, leaf in leaves.items():
        if leaf.shape[0] != expected:
            yield AlignmentError(
                f"{who}: {kind} {path!r} has {leaf.shape[0]} rows instead of {expected}; an episode of T transitions "
                f"has {per_episode}. Keep the final observation of every episode, or drop its last transition."
            )
        if tuple(leaf.shape[1:]) != spaces[path].shape:
            yield OutOfSpaceError(
                f"{who}: {kind} {path!r} has rows of shape {tuple(leaf.shape[1:])} and its space has "
                f"{spaces[path].shape}; reshape the data or correct the space."
            )


def _flags(episodes: Episodes, places: _Places) -> Iterator[DatasetError]:
    terminations, truncations = episodes.terminations.bool(), episodes.truncations.bool()
    last = torch.zeros(episodes.num_transitions, dtype=torch.bool)
    last[episodes.transition_starts + episodes.lengths - 1] = True
    ended = terminations | truncations
    for wrong, what, remedy in (
        (last & ~ended, "the episode ends without a flag", "set its truncation if it was merely cut off"),
        (terminations & truncations, "termination and truncation are both set", "keep the one that is true"),
        (ended & ~last, "an end flag is set in the middle", "split the episode there or clear the flag"),
    ):
        if wrong.any():
            row = int(wrong.nonzero()[0])
            yield FlagError(f"{places(row, 0)}: {what} ({int(wrong.sum())} such steps); {remedy}.")


def _finite(episodes: Episodes, places: _Places) -> Iterator[DatasetError]:
    fields = [(f"observation {path!r}", leaf, 1) for path, leaf in episodes.observations.items()]
    fields += [(f"action {path!r}", leaf, 0) for path, leaf in episodes.actions.items()]
    for what, leaf, extra in (*fields, ("reward", episodes.rewards, 0)):
        values = leaf.numpy()
        # min and max carry NaN and Inf along without a temporary of the data's size
        if values.dtype.kind != "f" or values.size == 0 or np.isfinite([values.min(), values.max()]).all():
            continue
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        yield NonFiniteError(
            f"{places(int(bad.argmax()), extra)}: {what} is NaN or infinite ({int(bad.sum())} such rows); "
            "leave these episodes out or repair the source."
        )


def _inside(episodes: Episodes, places: _Places) -> Iterator[DatasetError]:
    for path, space in leaf_spaces(episodes.action_space).items():
        yield from _bounded(episodes.actions[path].numpy(), space, f"action {path!r}", places, 0)
    for path, space in leaf_spaces(episodes.observation_space).items():
        if not isinstance(space, gym.spaces.Box):  # real data exceeds declared observation bounds; it is no mistake
            yield from _bounded(episodes.observations[path].numpy(), space, f"observation {path!r}", places, 1)


def _bounded(values: np.ndarray, space: gym.Space, what: str, places: _Places, extra: int) -> Iterator[DatasetError]:
    if values.size == 0:
        return
    if not isinstance(space, gym.spaces.Box) and values.dtype.kind not in "iub":
        yield OutOfSpaceError(
            f"{places(0, extra)}: {what} has dtype {values.dtype} in {type(space).__name__}; convert it to integers."
        )
        return
    low, high = bounds(space)
    if values.dtype.kind == "f":
        low, high = (bound + sign * SLACK * np.maximum(1, np.abs(bound)) for bound, sign in ((low, -1), (high, 1)))
    # per-dimension extremes first: no temporary of the data's size unless something is wrong (NaN is not our business)
    with np.errstate(invalid="ignore"):
        if not ((values.min(axis=0) < low) | (values.max(axis=0) > high)).any():
            return
        bad = ((values < low) | (values > high)).reshape(len(values), -1).any(axis=1)
    row = int(bad.argmax())
    yield OutOfSpaceError(
        f"{places(row, extra)}: {what} = {np.array2string(values[row], precision=6, threshold=8)} lies outside {space} "
        f"({int(bad.sum())} such rows); clip it or correct the space."
    )
