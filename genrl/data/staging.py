"""Write a folder out of sight, then put it in its place in one step: a crash leaves either all of it or nothing."""

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genrl.data.errors import DatasetExistsError

PREFIX = ".genrl-"
"""Hidden, so that Minari does not list what is being written."""
_NEW, _OLD, _TARGET = "new", "old", "target"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A fresh folder under ``root`` on the same file system, hidden from Minari and removed on the way out.

    What dead processes left behind is removed first; folders of live ones are told by the lock beside them, which the
    operating system drops when its owner dies, however it dies.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_abandoned(root)
    outer = root / f"{PREFIX}{uuid.uuid4().hex}"
    lock = outer.with_name(f"{outer.name}.lock")
    with FileLock(lock):  # held before the folder exists, so nobody takes a young folder for an abandoned one
        try:
            (outer / _NEW).mkdir(parents=True)
            yield outer / _NEW
        finally:
            _clear(outer, lock, root)


def remove_abandoned(root: Path) -> None:
    """Clean up after processes that died while staging; a swap that one of them had begun is completed."""
    for lock in root.glob(f"{PREFIX}*.lock"):
        try:
            with FileLock(lock, blocking=False):
                _clear(lock.with_suffix(""), lock, root)
        except (Timeout, PermissionError):
            continue  # its owner lives, or is somebody else, who will clear it


def _clear(outer: Path, lock: Path, root: Path) -> None:
    """Remove a staging folder whose lock is held, after completing a swap that stopped half-way."""
    note = outer / _TARGET
    if note.exists() and (outer / _OLD).exists() and (outer / _NEW).exists():
        os.rename(outer / _NEW, root / note.read_text())
    shutil.rmtree(outer, ignore_errors=True)
    lock.unlink(missing_ok=True)


def publish(staged: Path, target: Path, root: Path, overwrite: bool) -> None:
    """Flush ``staged`` to disk and rename it to ``target``, swapping it with what is there if ``overwrite``.

    Args:
        staged: the folder that ``staging`` gave.
        target: where it goes, below ``root``.
        root: the folder that ``staging`` was given.
        overwrite: whether something at ``target`` is replaced; it stays until this call.

    Raises:
        DatasetExistsError: something is there and ``overwrite`` is not set.
    """
    _flush(staged)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if overwrite and target.exists():
            _exchange(staged, target, root)
        else:
            os.rename(staged, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise DatasetExistsError(
                f"{target} appeared while it was being written; pass overwrite=True to replace it."
            ) from error
        raise
    _flush_one(target.parent)


def _exchange(staged: Path, target: Path, root: Path) -> None:
    """Swap two folders: in one step where the system can, else in two."""
    if not _exchange_at_once(staged, target):
        _exchange_in_two_steps(staged, target, root)


def _exchange_in_two_steps(staged: Path, target: Path, root: Path) -> None:
    """Move the old one aside and the new one in, with a note by which ``_clear`` completes what a crash cut short."""
    outer = staged.parent
    (outer / _TARGET).write_text(str(target.relative_to(root)))
    os.rename(target, outer / _OLD)
    os.rename(staged, target)


def _exchange_at_once(first: Path, second: Path) -> bool:
    """Linux's atomic swap of two paths; False where kernel or file system do not know it."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if renameat2(here, os.fsencode(first), here, os.fsencode(second), swap) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _flush_one(path)
    _flush_one(folder)


def _flush_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
