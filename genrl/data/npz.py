"""Files of numpy arrays."""

import zlib
from collections.abc import Collection
from pathlib import Path
from zipfile import BadZipFile

import numpy as np


def read_npz(path: str | Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz file, of ``names`` only where given, none of them pickled.

    Raises:
        ValueError: it is missing, truncated, or another kind of file; the message says which, not where.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, BadZipFile, zlib.error) as error:
        raise ValueError(f"no whole npz file of plain arrays ({error})") from error
