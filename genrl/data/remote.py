"""Fetching a data set from Minari's remote, with the same care as writing one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import minari

from genrl.data.errors import DatasetMissingError
from genrl.data.locate import DATA, dataset_path, datasets_root, register_namespaces
from genrl.data.staging import publish, staging


def download(dataset_id: str, root: str | Path | None = None) -> Path:
    """Fetch a data set with Minari (MINARI_REMOTE, or Farama's server); nothing is visible before it is complete.

    Returns:
        The data set's folder.

    Raises:
        DatasetIdError: the id is malformed.
        DatasetMissingError: the remote cannot be reached or does not have it.
        DatasetExistsError: somebody else put it there meanwhile.
    """
    base, target = datasets_root(root), dataset_path(dataset_id, root)
    with staging(base) as staged:
        try:
            with _minari_root(staged):
                minari.download_dataset(dataset_id)
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            raise DatasetMissingError(
                f"Data set '{dataset_id}' is not in {base} and could not be downloaded "
                f"({' '.join(str(error).split())[:300]}); check the name with `minari list remote`, and the "
                "connection."
            ) from error
        if not (staged / dataset_id / DATA).is_dir():
            raise DatasetMissingError(f"The remote has no files for data set '{dataset_id}'; choose another version.")
        register_namespaces(dataset_id, base, staged)
        publish(staged / dataset_id, target, base, overwrite=False)
    return target


@contextmanager
def _minari_root(folder: Path) -> Iterator[None]:
    """Minari reads its root from the environment only."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
