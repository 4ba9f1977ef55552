"""Streams episodes into a folder through Minari's own storage."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import minari
from minari.data_collector.episode_buffer import EpisodeBuffer
from minari.dataset.minari_storage import METADATA_FILE_NAME, MinariStorage

from genrl.data.checks import check
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import AlignmentError, ConfigurationError, EmptyDatasetError
from genrl.data.lossless import require_storable, storable
from genrl.data.reader import HDF5_FILE
from genrl.data.room import reserve, size_in_file
from genrl.data.spaces import Leaves, enclosing, leaf_spaces, unflatten

HDF5_VERSION = ("v110", "v110")
"""The HDF5 1.10 file format: a third of the bytes per short episode that the default format needs."""


def write(parts: Iterable[Episodes], folder: Path, dataset_id: str, card: DatasetCard | None) -> tuple[int, int]:
    """Write all episodes of ``parts``, each part checked and let go before the next is asked for.

    Args:
        parts: at least one episode in all, all of the same spaces.
        folder: where Minari's files go; it exists and is empty.
        dataset_id: for the metadata and for messages.
        card: authorship and environments; that of the first part if None.

    Returns:
        Numbers of episodes and transitions.

    Raises:
        DatasetError: what ``check`` refuses, infos whose names cannot be stored, or no episode at all.
        ConfigurationError: two parts have different spaces.
        UnsupportedSpaceError: see ``require_storable``.
        OSError: there is no room for a part; it is not begun then.
    """
    remaining = iter(parts)
    first = next((part for part in remaining if len(part)), None)
    if first is None:
        raise EmptyDatasetError(f"Data set '{dataset_id}' would hold no episode; nothing was written.")
    storage = MinariStorage.new(folder, first.observation_space, first.action_space)
    card = card or first.card
    storage.update_metadata(_metadata(card, dataset_id))
    tally = _Tally(dataset_id, first, folder / HDF5_FILE)
    stream = _chained(first, remaining)
    del first  # so that no part outlives its turn
    # Minari reopens this file and so inherits its settings
    with h5py.File(folder / HDF5_FILE, "w", libver=HDF5_VERSION, track_order=True):
        storage.update_episodes(tally.buffers(stream))
    storage.update_metadata({"dataset_size": float(storage.get_size())})
    _put_in_order(folder / METADATA_FILE_NAME, card)
    return tally.episodes, tally.transitions


def _chained(first: Episodes, others: Iterator[Episodes]) -> Iterator[Episodes]:
    yield first
    del first
    yield from others


class _Tally:
    """Turns checked parts, for which ``file`` has room, into Minari's buffers and counts them."""

    def __init__(self, dataset_id: str, first: Episodes, file: Path) -> None:
        self.dataset_id, self.spaces, self.file = dataset_id, (first.observation_space, first.action_space), file
        self.episodes = self.transitions = self.bytes = 0

    def buffers(self, parts: Iterator[Episodes]) -> Iterator[EpisodeBuffer]:
        for part in parts:
            if len(part):
                yield from self._part(part)
            del part

    def _part(self, part: Episodes) -> Iterator[EpisodeBuffer]:
        if (part.observation_space, part.action_space) != self.spaces:
            raise ConfigurationError(
                f"Data set '{self.dataset_id}', from episode {self.episodes} on: the spaces are "
                f"{part.observation_space} and {part.action_space} where the first part has {self.spaces[0]} and "
                f"{self.spaces[1]}; write one data set for each."
            )
        check(part, self.dataset_id, self.episodes)
        for space, leaves in ((part.observation_space, part.observations), (part.action_space, part.actions)):
            for path, leaf in leaf_spaces(space).items():
                require_storable(leaf, leaves[path].numpy().dtype, f"Data set '{self.dataset_id}': leaf {path!r}")
        _require_names(part.infos, f"Data set '{self.dataset_id}'")
        self.bytes += size_in_file(part)
        reserve(self.file, self.bytes)
        yield from (_buffer(part, index) for index in range(len(part)))
        self.episodes += len(part)
        self.transitions += part.num_transitions


def _require_names(infos: Leaves, who: str) -> None:
    """Refuse infos whose names no HDF5 file can hold beside each other."""
    for path in infos:
        if {"", "."} & set(path.split("/")):
            raise AlignmentError(f"{who}: info {path!r} has an empty name, or one of a dot alone; rename it.")
        if above := enclosing(path, infos):
            raise AlignmentError(
                f"{who}: info {path!r} cannot be stored inside the info {above!r}; rename one of them."
            )


def _buffer(part: Episodes, index: int) -> EpisodeBuffer:
    """One episode as Minari's buffer, copied so that it does not hold on to the whole part."""
    steps = int(part.lengths[index])
    start, first = int(part.transition_starts[index]), int(part.observation_starts[index])
    transitions, observations = slice(start, start + steps), slice(first, first + steps + 1)

    def nested(leaves: Leaves, space: Any, rows: slice) -> Any:
        spaces = leaf_spaces(space)
        return unflatten(
            space, {path: storable(leaf[rows].clone().numpy(), spaces[path]) for path, leaf in leaves.items()}
        )

    infos: dict[str, Any] = {}
    for path, leaf in part.infos.items():
        *parents, name = path.split("/")
        level = infos
        for parent in parents:
            level = level.setdefault(parent, {})
        rows = transitions if leaf.shape[0] == part.num_transitions else observations
        level[name] = storable(leaf[rows].clone().numpy())
    seed = -1 if part.seeds is None else int(part.seeds[index])
    return EpisodeBuffer(
        seed=seed if seed >= 0 else None,
        observations=nested(part.observations, part.observation_space, observations),
        actions=nested(part.actions, part.action_space, transitions),
        rewards=part.rewards[transitions].clone().numpy(),
        terminations=part.terminations[transitions].clone().numpy(),
        truncations=part.truncations[transitions].clone().numpy(),
        infos=infos,
    )


def _metadata(card: DatasetCard, dataset_id: str) -> dict[str, Any]:
    """The fields that ``minari.create_dataset_from_buffers`` writes, where the card has them."""
    fields = {
        "env_spec": card.env_spec,
        "eval_env_spec": card.eval_env_spec,
        "algorithm_name": card.algorithm_name,
        "author": set(card.author),
        "author_email": set(card.author_email),
        "code_permalink": card.code_permalink,
        "description": card.description,
        "ref_min_score": card.ref_min_score,
        "ref_max_score": card.ref_max_score,
        "num_episodes_average_score": card.num_episodes_average_score,
        "requirements": list(card.requirements),
    }
    given = {name: value for name, value in fields.items() if value not in (None, set(), [])}
    return {"dataset_id": dataset_id, "minari_version": minari.__version__} | given


def _put_in_order(metadata_file: Path, card: DatasetCard) -> None:
    """Minari writes authors in the random order of a set; here they keep the card's, and the file the same bytes."""
    metadata = json.loads(metadata_file.read_text())
    metadata |= {name: list(getattr(card, name)) for name in ("author", "author_email") if name in metadata}
    metadata_file.write_text(json.dumps(metadata))
