"""What is inside a data set, without holding it in memory."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np

from genrl.data.aligned import aligned
from genrl.data.env_specs import recorded_entries
from genrl.data.episodes import DatasetCard
from genrl.data.locate import DATA, existing_path
from genrl.data.manifest import read_manifest
from genrl.data.reader import Reader, undisturbed
from genrl.data.spaces import leaf_spaces

SHOWN = 12
"""A leaf of more dimensions is printed with one range over all of them."""


@dataclass(frozen=True)
class Spread:
    """Mean and extremes of one number per episode."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of ``values``, at least one."""
        array = np.asarray(list(values), np.float64)
        return cls(float(array.mean()), float(array.min()), float(array.max()))

    def __str__(self) -> str:
        return f"mean {self.mean:.6g}, from {self.low:.6g} to {self.high:.6g}"


@dataclass(frozen=True)
class Leaf:
    """One leaf of the observations, actions or infos: its space and the extremes of every dimension.

    Attributes:
        space: the space as text, or dtype and shape of an info.
        low: (*shape) smallest values.
        high: (*shape) largest values.
    """

    space: str
    low: np.ndarray
    high: np.ndarray

    def __str__(self) -> str:
        low, high = self.low, self.high
        if low.size == 0:
            return self.space
        if low.ndim > 1 or low.size > SHOWN:
            low, high = low.min(), high.max()
        shown = [np.array2string(np.asarray(end), precision=4, max_line_width=10_000) for end in (low, high)]
        return f"{self.space}  data from {shown[0]} to {shown[1]}"


@dataclass(frozen=True)
class DatasetInfo:
    """Everything ``genrl info`` shows.

    Attributes:
        dataset_id: the data set.
        path: its folder.
        size: bytes of its files.
        data_format: "hdf5", "arrow" or "parquet".
        minari_version: of the Minari that wrote it.
        card: authorship, environments, reference scores.
        environment: id of the environment, None if there is none behind the data.
        episodes: number of episodes.
        transitions: number of transitions.
        lengths: transitions per episode.
        returns: undiscounted return per episode.
        terminations: episodes that end in a termination.
        truncations: episodes that end in a truncation.
        observations: leaf path -> space and ranges.
        actions: leaf path -> space and ranges.
        infos: path -> form and ranges, of those in the first episode.
        provenance: from the manifest; None if genrl did not write the data set.
    """

    dataset_id: str
    path: Path
    size: int
    data_format: str
    minari_version: str
    card: DatasetCard
    environment: str | None
    episodes: int
    transitions: int
    lengths: Spread
    returns: Spread
    terminations: int
    truncations: int
    observations: dict[str, Leaf]
    actions: dict[str, Leaf]
    infos: dict[str, Leaf]
    provenance: dict[str, Any] | None

    def __str__(self) -> str:
        rows = [
            ("path", str(self.path)),
            ("format", f"{self.data_format}, {self.size / 1e6:.1f} MB, Minari {self.minari_version}"),
            ("environment", self.environment or "none recorded"),
            ("episodes", str(self.episodes)),
            ("transitions", str(self.transitions)),
            ("length", str(self.lengths)),
            ("return", str(self.returns)),
            ("ends", f"{self.terminations} terminated, {self.truncations} truncated"),
            *self._authorship(),
        ]
        if self.provenance is not None:
            rows.append(("provenance", json.dumps(self.provenance)))
        for group, leaves in (("observation", self.observations), ("action", self.actions), ("info", self.infos)):
            rows += [(f"{group} {path}".strip(), str(leaf)) for path, leaf in leaves.items()]
        return f"{self.dataset_id}\n{indent(aligned(rows), '  ')}"

    def _authorship(self) -> list[tuple[str, str]]:
        card = self.card
        rows = [
            ("author", ", ".join((*card.author, *card.author_email))),
            ("algorithm", card.algorithm_name),
            ("description", card.description),
            ("code", card.code_permalink),
            ("requirements", ", ".join(card.requirements)),
        ]
        if card.ref_min_score is not None and card.ref_max_score is not None:
            rows.append(("reference", f"returns {card.ref_min_score:.6g} (score 0) and {card.ref_max_score:.6g} (100)"))
        return [(name, value) for name, value in rows if value]


def info(dataset_id: str, root: str | Path | None = None) -> DatasetInfo:
    """Summarise a stored data set in one pass.

    Raises:
        DatasetIdError, DatasetMissingError: the id is malformed, or there is no such data set.
        EmptyDatasetError, CorruptDatasetError, AlignmentError, UnsupportedSpaceError: see ``load``.
    """
    path = existing_path(dataset_id, root)
    return undisturbed(path, lambda: _summary(path, dataset_id))


def _summary(path: Path, dataset_id: str) -> DatasetInfo:
    reader = Reader(path, dataset_id)
    lengths, returns, ends = [], [], np.zeros(2, np.int64)
    extremes = {group: _Extremes() for group in ("observations", "actions", "infos")}
    for episode in reader.episodes():
        lengths.append(len(episode.rewards))
        returns.append(float(episode.rewards.sum(dtype=np.float64)))
        ends += np.array([episode.terminations[-1], episode.truncations[-1]])
        for group, extreme in extremes.items():
            extreme.update(getattr(episode, group))
    card, manifest = reader.card, read_manifest(path)
    environment = recorded_entries(card)
    spaces = {"observations": reader.observation_space, "actions": reader.action_space}
    described = {group: {p: str(leaf) for p, leaf in leaf_spaces(space).items()} for group, space in spaces.items()}
    return DatasetInfo(
        dataset_id=dataset_id,
        path=path,
        size=sum(file.stat().st_size for file in (path / DATA).rglob("*") if file.is_file()),
        data_format=str(reader.metadata.get("data_format")),
        minari_version=str(reader.metadata.get("minari_version")),
        card=card,
        environment=None if environment is None else environment["id"],
        episodes=len(lengths),
        transitions=sum(lengths),
        lengths=Spread.of(lengths),
        returns=Spread.of(returns),
        terminations=int(ends[0]),
        truncations=int(ends[1]),
        **{group: extreme.leaves(described.get(group, {})) for group, extreme in extremes.items()},
        provenance=None if manifest is None else manifest.provenance,
    )


class _Extremes:
    """Running minimum and maximum of every dimension of every leaf."""

    def __init__(self) -> None:
        self.low: dict[str, np.ndarray] = {}
        self.high: dict[str, np.ndarray] = {}

    def update(self, leaves: dict[str, np.ndarray]) -> None:
        for path, leaf in leaves.items():
            low, high = leaf.min(axis=0), leaf.max(axis=0)
            if path in self.low and self.low[path].shape != low.shape:
                continue  # an info that changes its form is described by its first one
            self.low[path] = np.minimum(self.low.get(path, low), low)
            self.high[path] = np.maximum(self.high.get(path, high), high)

    def leaves(self, spaces: dict[str, str]) -> dict[str, Leaf]:
        def form(path: str) -> str:
            low = self.low[path]
            return spaces.get(path, f"{low.dtype} {low.shape}")

        return {path: Leaf(form(path), self.low[path], self.high[path]) for path in spaces or self.low}
