"""Ids of Minari data sets and the folders they live in."""

import shutil
from pathlib import Path

from minari.dataset.minari_dataset import parse_dataset_id
from minari.namespace import NAMESPACE_METADATA_FILENAME
from minari.storage import get_dataset_path

from genrl.data.errors import DatasetExistsError, DatasetIdError, DatasetMissingError

DATA = "data"
"""The folder inside a data set's own folder that holds what Minari writes."""


def datasets_root(root: str | Path | None = None) -> Path:
    """``root``, or else the environment's MINARI_DATASETS_PATH, or else ``~/.minari/datasets``; absolute."""
    return (get_dataset_path() if root is None else Path(root)).absolute()  # Minari's storage needs it


def dataset_path(dataset_id: str, root: str | Path | None = None) -> Path:
    """The folder of a data set, whether or not it is there.

    Raises:
        DatasetIdError: the id is not of the form ``(namespace/)name-vN``.
    """
    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError) as error:  # Minari: TypeError where the version is missing
        raise DatasetIdError(
            f"'{dataset_id}' is not a data set id: write (namespace/)name-vN, for example 'pointmaze/umaze-v0', from "
            "letters, digits, '-' and '_', with a version and without namespaces of a single character."
        ) from error
    if DATA in dataset_id.split("/") or "//" in dataset_id:
        raise DatasetIdError(f"'{dataset_id}' is not a data set id: no part of it may be empty or '{DATA}'; rename it.")
    return datasets_root(root) / dataset_id


def exists(dataset_id: str, root: str | Path | None = None) -> bool:
    """Whether a data set of that id (sound or not) is stored here."""
    return (dataset_path(dataset_id, root) / DATA).is_dir()


def require_new(dataset_id: str, root: str | Path | None, overwrite: bool) -> None:
    """Refuse an id that is taken, unless it is to be overwritten.

    Raises:
        DatasetIdError: the id is malformed.
        DatasetExistsError: it is taken.
    """
    if exists(dataset_id, root) and not overwrite:
        raise DatasetExistsError(
            f"A data set '{dataset_id}' exists in {datasets_root(root)}; pass overwrite=True (--overwrite true) to"
            " replace it, or choose another version."
        )


def existing_path(dataset_id: str, root: str | Path | None = None) -> Path:
    """The folder of a data set that is there.

    Raises:
        DatasetIdError: the id is malformed.
        DatasetMissingError: there is none; the message says where it was looked for and how to get it.
    """
    path = dataset_path(dataset_id, root)
    if exists(dataset_id, root):
        return path
    stem = path.name.rpartition("-v")[0]
    others = sorted(other.parent.name for other in path.parent.glob(f"{stem}-v*/{DATA}"))
    raise DatasetMissingError(
        f"No data set '{dataset_id}' in {datasets_root(root)}"
        + (f" (there is {', '.join(others)})" if others else "")
        + f"; download it with genrl.load_dataset('{dataset_id}', download=True) or `minari download {dataset_id}`,"
        " or say where it is (root, --root, or MINARI_DATASETS_PATH)."
    )


def register_namespaces(dataset_id: str, root: Path, source: Path | None = None) -> None:
    """Make the folders above a data set known to Minari as namespaces, described as under ``source`` if they are."""
    for parent in reversed(Path(dataset_id).parents[:-1]):
        described = root / parent / NAMESPACE_METADATA_FILENAME
        if described.exists():
            continue
        described.parent.mkdir(parents=True, exist_ok=True)
        if source is not None and (source / parent / NAMESPACE_METADATA_FILENAME).exists():
            shutil.copyfile(source / parent / NAMESPACE_METADATA_FILENAME, described)
        else:
            described.write_text("{}")
