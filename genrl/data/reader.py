"""A Minari data set on disk, read episode by episode through Minari's own storage, with errors that name the remedy."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import h5py
import minari
import torch
from minari.dataset.minari_storage import METADATA_FILE_NAME, MinariStorage, is_image_space

from genrl.data.episodes import DatasetCard
from genrl.data.errors import (
    ConfigurationError,
    CorruptDatasetError,
    DatasetError,
    EmptyDatasetError,
    UnsupportedSpaceError,
)
from genrl.data.locate import DATA
from genrl.data.lossless import lossy_images
from genrl.data.spaces import leaf_spaces
from genrl.data.table import EpisodeArrays, episode_arrays

DAMAGE = (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, AssertionError, RuntimeError)
"""What Minari, h5py and JSON raise on files that are truncated, half-written or altered."""

HDF5_FILE = "main_data.hdf5"
"""Minari's own name of it."""

UNREADABLE_INFOS = " (or holds one-dimensional infos, which Minari's Arrow writer makes unreadable)"

RAW_IMAGES = "0.5.4"
"""From which version on Minari can store images as they are."""

ATTEMPTS = 5
"""How often a data set is read before it is given up because it is replaced all the time."""

COUNTS, LISTS = ("total_episodes", "total_steps"), ("author", "author_email", "requirements")
FORMS: dict[str, Any] = dict.fromkeys(COUNTS, int) | dict.fromkeys(LISTS, str | list | None)
"""What stands in the metadata where genrl relies on it."""

Found = TypeVar("Found")


def undisturbed(path: Path, read: Callable[[], Found]) -> Found:
    """What ``read`` finds in the data set at ``path``, begun anew where ``save(overwrite=True)`` replaced it meanwhile.

    Raises:
        DatasetError: it was replaced every time.
    """
    for _ in range(ATTEMPTS):
        before = _edition(path)
        try:
            found = read()
        except Exception:
            if _edition(path) == before:
                raise
            continue
        if _edition(path) == before:
            return found
        del found  # it may be large
    raise DatasetError(f"{path} was replaced {ATTEMPTS} times while it was read; try again once it stays as it is.")


def _edition(path: Path) -> tuple[int, int] | None:
    """Differs between a folder and the one that replaced it; None while there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def stored_episodes(storage: MinariStorage) -> int | None:
    """How many episodes an HDF5 file holds, whatever the metadata count; None for other formats."""
    if storage.FORMAT != "hdf5":
        return None
    with h5py.File(storage.data_path / HDF5_FILE, "r") as file:
        return sum(name.startswith("episode_") for name in file)


class Reader:
    """What is known about a stored data set before its data are read, and an iterator over its episodes.

    Raises (on construction):
        EmptyDatasetError: the metadata count no episode, as after a failed creation.
        CorruptDatasetError: metadata or data file cannot be read.
        ConfigurationError: the package for its file format is not installed.
        UnsupportedSpaceError: it holds images in a form that the Minari installed here does not read.
    """

    def __init__(self, path: Path, dataset_id: str) -> None:
        self.path, self.dataset_id = path, dataset_id
        self.metadata = self._read_metadata()
        self.num_episodes: int = self.metadata["total_episodes"]
        self.num_transitions: int = self.metadata["total_steps"]
        if self.num_episodes < 1 or self.num_transitions < 1:
            raise EmptyDatasetError(
                f"Data set '{dataset_id}' in {path} holds no episode: an empty stub, as a failed or interrupted "
                "creation leaves it. Delete that folder and create or download the data set again."
            )
        try:
            self.storage = MinariStorage.read(path / DATA)
            there = stored_episodes(self.storage)
        except ImportError as error:
            raise ConfigurationError(
                f"Data set '{dataset_id}' needs a package that is not installed: {error}"
            ) from error
        except DAMAGE as error:
            raise self.corrupt("cannot be opened", error) from error
        if self.metadata.get("jpeg_encoding") is False and minari.__version__ < RAW_IMAGES and self._has_images():
            raise UnsupportedSpaceError(
                f"Data set '{dataset_id}' holds images as Minari {RAW_IMAGES} stores them raw, which the Minari"
                f" {minari.__version__} here cannot read: read it with that version."
            )
        if there not in (None, self.num_episodes):
            raise self.corrupt(f"holds {there} episodes", f"its metadata count {self.num_episodes}")

    @property
    def observation_space(self) -> gym.Space:
        """Space of the observations."""
        return self.storage.observation_space

    @property
    def action_space(self) -> gym.Space:
        """Space of the actions."""
        return self.storage.action_space

    @property
    def data_file(self) -> Path:
        """The file (or, for Arrow, the folder) that holds the episodes."""
        file = self.path / DATA / HDF5_FILE
        return file if self.metadata.get("data_format", "hdf5") == "hdf5" else file.parent

    @property
    def card(self) -> DatasetCard:
        """Authorship, environments and reference scores from the metadata; environment specifications word by word."""
        known = {f.name: self.metadata[f.name] for f in fields(DatasetCard) if f.name in self.metadata}
        several = {name: _several(known.get(name)) for name in LISTS}
        return DatasetCard(**known | several | {"dataset_id": self.dataset_id})

    def episodes(self) -> Iterator[EpisodeArrays]:
        """Every episode in turn, lined up.

        Raises:
            CorruptDatasetError: an episode cannot be read, or there are fewer than the metadata say.
            AlignmentError, UnsupportedSpaceError: see ``episode_arrays``.
        """
        raw = iter(self.storage.get_episodes(range(self.num_episodes)))
        for index in range(self.num_episodes):
            try:
                episode: dict[str, Any] = next(raw)
            except StopIteration as error:
                raise self.corrupt(f"ends before episode {index} of {self.num_episodes}", error) from error
            except DAMAGE as error:
                raise self.corrupt(f"cannot be read at episode {index} of {self.num_episodes}", error) from error
            where = f"Data set '{self.dataset_id}', episode {index}"
            yield episode_arrays(episode, self.observation_space, self.action_space, where)

    def seeds(self) -> torch.Tensor | None:
        """(E,) int64 reset seeds, -1 where an episode has none that fits; None if no episode has one.

        Minari's own collector draws seeds of 64 bits, half of which do not.

        Raises:
            CorruptDatasetError: the episodes' metadata cannot be read.
        """
        try:
            records = list(self.storage.get_episode_metadata(range(self.num_episodes)))
            told = [-1 if r.get("seed") is None else int(r["seed"]) for r in records]
            seeds = torch.tensor([seed if 0 <= seed < 2**63 else -1 for seed in told])
        except DAMAGE as error:
            raise self.corrupt("cannot be read at the seeds of its episodes", error) from error
        return seeds if (seeds >= 0).any() else None

    def _has_images(self) -> bool:
        spaces = (self.observation_space, self.action_space)
        return any(is_image_space(leaf) for space in spaces for leaf in leaf_spaces(space).values())

    def lossy_images(self) -> list[str]:
        """Leaves whose values are approximate, because whoever wrote the data set let Minari store images as JPEG."""
        if self.data_file.suffix != ".hdf5":
            return []
        spaces = {"observations": self.observation_space, "actions": self.action_space}
        return [f"{group} {path!r}" for group, s in spaces.items() for path in lossy_images(self.data_file, s, group)]

    def corrupt(self, what: str, error: Exception | str) -> CorruptDatasetError:
        """The error for a damaged data file."""
        reason = " ".join(str(error).split()) or type(error).__name__
        hdf5 = self.metadata.get("data_format", "hdf5") == "hdf5"
        return CorruptDatasetError(
            f"Data set '{self.dataset_id}': {self.data_file} {what} ({reason}). "
            f"It is truncated, half-written or altered{'' if hdf5 else UNREADABLE_INFOS}; "
            f"delete {self.path} and download or create the data set again."
        )

    def _read_metadata(self) -> dict[str, Any]:
        file = self.path / DATA / METADATA_FILE_NAME
        try:
            metadata = json.loads(file.read_text())
            missing = set(COUNTS) - set(metadata)
        except (OSError, ValueError, TypeError) as error:
            raise CorruptDatasetError(
                f"Data set '{self.dataset_id}': {file} cannot be read ({error}). The data set is half-written or "
                f"damaged: delete {self.path} and download or create it again."
            ) from error
        if missing:
            raise CorruptDatasetError(
                f"Data set '{self.dataset_id}': {file} lacks {', '.join(sorted(missing))}; it was written by a version "
                f"of Minari that is no longer readable. Delete {self.path} and download the data set again."
            )
        if wrong := [name for name, form in FORMS.items() if not isinstance(metadata.get(name), form)]:
            raise CorruptDatasetError(
                f"Data set '{self.dataset_id}': {file} has {wrong[0]} = {metadata[wrong[0]]!r}, which cannot be. "
                f"Correct it, or delete {self.path} and download or create the data set again."
            )
        return metadata


def _several(value: str | list[str] | None) -> tuple[str, ...]:
    """Older data sets hold one author as plain text."""
    return (value,) if isinstance(value, str) else tuple(map(str, value or ()))
