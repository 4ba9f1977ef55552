"""The manifest ``genrl.json`` beside a data set's files: what was written, so that damage shows."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genrl.data.errors import CorruptDatasetError
from genrl.data.locate import DATA

FILE_NAME = "genrl.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Counts, SHA-256 of every data file (path relative to the data set's folder), and where the data came from."""

    dataset_id: str
    episodes: int
    transitions: int
    files: dict[str, str]
    provenance: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def damage(self, folder: Path) -> Iterator[str]:
        """A sentence for every file that is missing or changed."""
        for name, expected in self.files.items():
            if not (folder / name).is_file():
                yield f"{folder / name} is missing."
            elif sha256(folder / name) != expected:
                yield f"{folder / name} has changed since it was written (its SHA-256 differs from the manifest)."

    def additions(self, folder: Path) -> Iterator[str]:
        """A sentence for every data file that the manifest does not know."""
        for name in sorted(set(_files(folder)) - set(self.files)):
            yield f"{folder / name} is not in the manifest; it was added after the data set was written."


def write_manifest(
    folder: Path, dataset_id: str, episodes: int, transitions: int, provenance: dict[str, Any]
) -> Manifest:
    """Hash every data file in ``folder`` and write the manifest; the same data give the same bytes."""
    files = {name: sha256(folder / name) for name in _files(folder)}
    manifest = Manifest(dataset_id, episodes, transitions, files, provenance)
    content = asdict(manifest)
    content["digest"] = _digest(content)
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in ``folder``, or None if there is none (the data set was not written by genrl).

    Raises:
        CorruptDatasetError: it cannot be read, was altered, or is of a newer format.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise CorruptDatasetError(
                f"{path} has format {content['format']} and this genrl reads format {FORMAT}; install a newer genrl."
            )
        if content.pop("digest") != _digest(content):
            raise CorruptDatasetError(
                f"{path} was altered since it was written; restore it or write the data set again."
            )
        return Manifest(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptDatasetError(
            f"{path} cannot be read ({error}); restore it or write the data set again."
        ) from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[str]:
    paths = (path for path in (folder / DATA).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)
