"""Minari data sets in and out: ``load`` and ``save``."""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genrl.data.checks import check
from genrl.data.checks import mend_flags as mended
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import ConfigurationError, CorruptDatasetError, DatasetError, DatasetExistsError
from genrl.data.locate import DATA, dataset_path, datasets_root, existing_path, exists, register_namespaces, require_new
from genrl.data.manifest import FILE_NAME, read_manifest, write_manifest
from genrl.data.reader import Reader, undisturbed
from genrl.data.remote import download as fetch
from genrl.data.room import told_without_room
from genrl.data.staging import publish, staging
from genrl.data.table import Table
from genrl.data.writer import write

__all__ = ["dataset_path", "exists", "load", "save"]


def load(dataset_id: str, root: str | Path | None = None, download: bool = False, mend_flags: bool = False) -> Episodes:
    """Read a whole Minari data set into contiguous tensors of its native dtypes.

    It is read episode by episode into tensors allocated once, so peak memory is little more than the data. If genrl
    wrote it, its files are compared with their manifest first. Infos stay where every episode has them as numbers with
    T or T + 1 rows. Images that another writer stored as JPEG come with a warning. Where the data set is replaced while
    it is read, reading begins anew.

    Args:
        dataset_id: ``(namespace/)name-vN``.
        root: folder of data sets; MINARI_DATASETS_PATH or ``~/.minari/datasets`` if None.
        download: fetch it from Minari's remote if it is not here.
        mend_flags: accept episodes whose last step has no end flag (taken as truncated) or both (as terminated).

    Raises:
        DatasetIdError, DatasetMissingError: the id is malformed, or there is no such data set.
        EmptyDatasetError, CorruptDatasetError: there is nothing in it, or it cannot be read.
        DatasetError: it is replaced again and again.
        AlignmentError, FlagError, NonFiniteError, OutOfSpaceError: see ``check``.
        UnsupportedSpaceError: a leaf is of a kind, or stored in a way, that cannot be restored without loss.
    """
    if download and not exists(dataset_id, root):
        fetch(dataset_id, root)
    path = existing_path(dataset_id, root)
    episodes, lossy = undisturbed(path, lambda: _read(path, dataset_id))
    if lossy:
        warnings.warn(
            f"Data set '{dataset_id}' holds {', '.join(lossy)} as JPEG, the default of Minari's writer: the values are "
            "off by up to 243 of 255 and cannot be restored.",
            stacklevel=2,
        )
    if mend_flags:
        episodes = mended(episodes)
    check(episodes, dataset_id)
    return episodes


def _read(path: Path, dataset_id: str) -> tuple[Episodes, list[str]]:
    """All that is there, and the leaves that are images of lossy values."""
    _require_unchanged(path, dataset_id)
    reader = Reader(path, dataset_id)
    table = Table(reader.num_episodes, reader.num_transitions)
    steps = 0
    for episode in reader.episodes():
        steps += len(episode.rewards)
        if steps > reader.num_transitions:
            break
        table.append(episode)
    if steps != reader.num_transitions:
        raise CorruptDatasetError(
            f"Data set '{dataset_id}': {reader.data_file} does not hold the {reader.num_transitions} transitions that "
            f"its metadata count; it is half-written. Delete {reader.path} and download or create it again."
        )
    episodes = table.episodes(reader.observation_space, reader.action_space, reader.seeds(), reader.card)
    return episodes, reader.lossy_images()


def save(
    parts: Episodes | Iterable[Episodes],
    dataset_id: str,
    *,
    card: DatasetCard | None = None,
    root: str | Path | None = None,
    overwrite: bool = False,
    provenance: dict[str, Any] | None = None,
) -> Path:
    """Write a Minari data set (HDF5) that appears complete or not at all.

    The files are staged in a hidden folder under ``root``, every part is checked on the way, a manifest ``genrl.json``
    with the SHA-256 of each file is put beside them, and the whole is flushed and renamed into place. The same
    episodes give the same bytes.

    Args:
        parts: all episodes, or a stream of parts of which only one is held at a time.
        dataset_id: ``(namespace/)name-vN``.
        card: authorship, environments and reference scores; those of the first part if None.
        root: folder of data sets; MINARI_DATASETS_PATH or ``~/.minari/datasets`` if None.
        overwrite: replace a data set of that id; the old one stays until the new one is complete.
        provenance: anything JSON can hold about where the data come from, kept in the manifest.

    Returns:
        The data set's folder.

    Raises:
        DatasetIdError: the id is malformed.
        DatasetExistsError: there is a data set of that id and ``overwrite`` is not set.
        ConfigurationError: the parts have different spaces, or the provenance is not JSON.
        DatasetError: there is no space in ``root``, it is not writable (nothing is left there then), or a link leads
            from it to another file system.
        DatasetError, UnsupportedSpaceError: see ``check`` and ``require_storable``.
    """
    target, base = dataset_path(dataset_id, root), datasets_root(root)
    _require_room(target, base, dataset_id, overwrite)
    try:
        provenance = json.loads(json.dumps(provenance))  # as it will be read back, whatever its keys are now
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The provenance of '{dataset_id}' must be made of JSON values: {error}.") from error
    with told_without_room(dataset_id, base), staging(base) as staged:
        (staged / DATA).mkdir()
        stream = [parts] if isinstance(parts, Episodes) else parts
        episodes, transitions = write(stream, staged / DATA, dataset_id, card)
        write_manifest(staged, dataset_id, episodes, transitions, provenance or {})
        register_namespaces(dataset_id, base)
        publish(staged, target, base, overwrite)
    return target


def _require_unchanged(path: Path, dataset_id: str) -> None:
    """HDF5 does not notice a flipped bit; the manifest does, at a small part of the time that reading takes."""
    manifest = read_manifest(path)
    for damage in [] if manifest is None else manifest.damage(path):
        raise CorruptDatasetError(
            f"Data set '{dataset_id}': {damage} The file is truncated, half-written or altered: delete {path} and "
            f"download or create the data set again; if the change was intended, delete {path / FILE_NAME}."
        )


def _require_room(target: Path, base: Path, dataset_id: str, overwrite: bool) -> None:
    """Refuse an id that is taken, or that would hide other data sets from Minari or be hidden by one."""
    for parent in target.relative_to(base).parents[:-1]:
        if (base / parent / DATA).is_dir():
            raise DatasetExistsError(
                f"'{parent}' is itself a data set, so '{dataset_id}' would be invisible in it; "
                "choose another namespace."
            )
    for above in (target, *target.parents):
        if above.exists() and not above.is_dir():
            raise DatasetExistsError(f"{above} is a file and in the way; choose another id or move it.")
    nearest = next(above for above in (target, *target.parents) if above.exists())
    if base.exists() and nearest.stat().st_dev != base.stat().st_dev:
        raise DatasetError(
            f"{target} lies on another file system than {base}, where a data set is written before it is renamed into"
            " place: name a root on the same one, or make the whole root a link."
        )
    if not target.exists():
        return
    if not (target / DATA).is_dir() and any(target.iterdir()):
        raise DatasetExistsError(f"{target} is in the way and is not a data set; choose another id or move it.")
    require_new(dataset_id, base, overwrite)
