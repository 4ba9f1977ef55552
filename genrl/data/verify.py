"""Does a stored data set hold what it says, as Minari's own reader sees it?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import minari
from minari import EpisodeData, MinariDataset

from genrl.data.checks import problems
from genrl.data.errors import CorruptDatasetError, GenrlError
from genrl.data.locate import DATA, existing_path
from genrl.data.manifest import Manifest, read_manifest
from genrl.data.reader import DAMAGE, stored_episodes, undisturbed
from genrl.data.table import Table, episode_arrays

MOST = 50
"""Problems listed in full; of the others only the number is given."""


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found.

    Attributes:
        dataset_id: the data set.
        path: its folder.
        episodes: episodes that could be read.
        transitions: transitions in them.
        hashed: whether a manifest was there to compare the files with.
        problems: one sentence each, and after ``MOST`` of them one that says how many there are besides.
        faults: how many problems there are, listed or not.
    """

    dataset_id: str
    path: Path
    episodes: int
    transitions: int
    hashed: bool
    problems: tuple[str, ...]
    faults: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        files = "files match their manifest" if self.hashed else "no manifest to compare the files with"
        read = f"{self.dataset_id}: {self.episodes} episodes and {self.transitions} transitions read"
        if self.ok:
            return f"{read}; {files}; nothing wrong."
        return "\n".join([f"{read}; {self.faults} problems:", *(f"- {problem}" for problem in self.problems)])


def verify(dataset_id: str, root: str | Path | None = None) -> Verification:
    """Read every episode through Minari's reader and compare data, metadata and manifest.

    Checked are the hashes and counts of the manifest (if genrl wrote the data set), alignment, end flags, finite values
    and bounds of every episode, and that the metadata count what is there. Bad data raise nothing.

    Raises:
        DatasetIdError, DatasetMissingError: the id is malformed, or there is no such data set.
    """
    path = existing_path(dataset_id, root)
    return undisturbed(path, lambda: _examined(path, dataset_id))


def _examined(path: Path, dataset_id: str) -> Verification:
    found: list[str] = []
    manifest: Manifest | None = None
    try:
        manifest = read_manifest(path)
    except CorruptDatasetError as error:
        found.append(str(error))
    if manifest is not None:
        found += [*manifest.damage(path), *manifest.additions(path)]
    examination = _Examination(dataset_id, path)
    found += examination.problems()
    counts = (examination.episodes, examination.transitions)
    if manifest is not None and (manifest.episodes, manifest.transitions) != counts:
        found.append(
            f"The manifest counts {manifest.episodes} episodes and {manifest.transitions} transitions; {counts[0]} and "
            f"{counts[1]} could be read."
        )
    faults = len(found)
    if faults > MOST:
        found[MOST:] = [f"{faults - MOST} more problems are not listed."]
    return Verification(dataset_id, path, *counts, manifest is not None, tuple(found), faults)


class _Examination:
    """One pass through a data set with Minari's reader."""

    def __init__(self, dataset_id: str, path: Path) -> None:
        self.dataset_id, self.path = dataset_id, path
        self.episodes = self.transitions = 0

    def problems(self) -> list[str]:
        try:
            dataset = minari.MinariDataset(self.path / DATA)
            metadata = dataset.storage.metadata
            expected = (int(metadata["total_episodes"]), int(metadata["total_steps"]))
        except (ImportError, *DAMAGE) as error:
            return [f"Minari cannot open {self.path / DATA} ({_reason(error)})."]
        found = []
        if metadata["dataset_id"] != self.dataset_id:
            found.append(f"The metadata call the data set '{metadata['dataset_id']}'; Minari will not list it.")
        if expected[0] == 0:
            found.append("The data set holds no episode: an empty stub, as a failed creation leaves it.")
        found += self._episodes(dataset)
        if (self.episodes, self.transitions) != expected:
            found.append(
                f"The metadata count {expected[0]} episodes and {expected[1]} transitions; {self.episodes} and "
                f"{self.transitions} could be read."
            )
        return found

    def _episodes(self, dataset: MinariDataset) -> Iterator[str]:
        try:
            for index, episode in enumerate(dataset.iterate_episodes()):
                yield from self._episode(index, episode, dataset)
            seeds = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
            for _ in seeds:
                pass
            there = stored_episodes(dataset.storage)
            if there is not None and there > self.episodes:
                yield f"The data file holds {there} episodes and the metadata count {self.episodes} of them."
        except DAMAGE as error:
            yield f"Episode {self.episodes} or what follows cannot be read ({_reason(error)})."

    def _episode(self, index: int, episode: EpisodeData, dataset: MinariDataset) -> Iterator[str]:
        where = f"Data set '{self.dataset_id}', episode {index}"
        self.episodes += 1
        self.transitions += len(episode)
        try:
            arrays = episode_arrays(vars(episode), dataset.observation_space, dataset.action_space, where)
        except GenrlError as error:
            yield str(error)
            return
        table = Table(1, len(arrays.rewards))
        table.append(arrays)
        alone = table.episodes(dataset.observation_space, dataset.action_space)
        yield from map(str, problems(alone, self.dataset_id, index))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
