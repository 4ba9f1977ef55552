"""Room on the disk for a data set: HDF5 loses its bookkeeping when a write fails and takes the process down with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from genrl.data.episodes import Episodes
from genrl.data.errors import DatasetError

LEAF_BYTES = 1536
"""What HDF5 needs beside the data for each leaf of each episode: 740 bytes, as measured, up to 1,200 where nested."""

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
"""How a system says that there is no room, or that nothing may be written."""


def size(episodes: Episodes) -> int:
    """Bytes of all tensors."""
    return sum(leaf.numel() * leaf.element_size() for leaf in [*_stored(episodes), episodes.lengths])


def size_in_file(episodes: Episodes) -> int:
    """Bytes that the episodes take in an HDF5 file at most."""
    return size(episodes) + LEAF_BYTES * len(_stored(episodes)) * len(episodes)


def _stored(episodes: Episodes) -> list[Tensor]:
    leaves = [*episodes.observations.values(), *episodes.actions.values(), *episodes.infos.values()]
    return [*leaves, episodes.rewards, episodes.terminations, episodes.truncations]


def reserve(file: Path, length: int) -> None:
    """Make sure that ``file`` can grow to ``length`` bytes: what it lacks is taken beside it, and given back at once.

    Raises:
        OSError: there is no room, or a file may not be as long.
    """
    written = file.stat().st_size
    if written >= length or not hasattr(os, "posix_fallocate"):
        return
    beside = file.with_name(f".{file.name}.room")
    try:
        with beside.open("wb") as taken:
            os.posix_fallocate(taken.fileno(), written, length - written)
    except OSError as error:
        if error.errno in REFUSALS:  # any other says that this system reserves nothing
            raise
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def told_without_room(dataset_id: str, root: Path) -> Iterator[None]:
    """Tell of a system that refuses a data set its room in the words of genrl.

    Raises:
        DatasetError: there is no space in ``root``, or it may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise DatasetError(
            f"Data set '{dataset_id}' cannot be written to {root}, which has no space for it or is not writable "
            f"({error}); make room there, or choose another root."
        ) from error
