"""One line from a checkpoint file back to a method or learner."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from genrl.data.errors import CheckpointError, ConfigurationError
from genrl.training.rest import frozen
from genrl.training.stored import Stored, read_header, rebuild

KEPT = ("best.ckpt", "last.ckpt")
"""What a fit keeps, the one to use first."""


def checkpoint_of(path: str | Path, names: Sequence[str] = KEPT) -> Path:
    """The checkpoint at ``path``; in a folder that fits logged to, that of the newest version there.

    Versions count by their numbers, or, where some have none, by when their checkpoints were written.

    Args:
        names: of the files that will do, the best one first.

    Raises:
        CheckpointError: there is none of them below that folder.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = [file for file in path.glob("**/*.ckpt") if file.name in names]
    if not found:
        raise CheckpointError(
            f"There is no {' or '.join(names)} below {path}; 'genrl fit' writes one into version_N/checkpoints there."
        )
    numbered = all(_version(file) is not None for file in found)
    newest = max(found, key=_version if numbered else _written).parent  # type: ignore[arg-type]
    return next(newest / name for name in names if (newest / name).exists())


def _version(file: Path) -> int | None:
    numbers = re.findall(r"version_(\d+)", str(file.parent))
    return int(numbers[-1]) if numbers else None


def _written(file: Path) -> float:
    return file.stat().st_mtime


def load(path: str | Path, device: str | torch.device = "cpu") -> Stored:
    """The method or learner stored at ``path``, in evaluation mode, with its averaged weights where it has them.

    Args:
        path: of a checkpoint, or of a folder that a fit logged to, see ``checkpoint_of``.
        device: where it is to be.

    Raises:
        CheckpointError: the file is missing, truncated, not from genrl, or of an unknown format version.
        ConfigurationError: there is no such device.
    """
    checkpoint = _whole(path)
    module = rebuild(checkpoint["genrl"])
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own configuration: {error}") from error
    try:
        return frozen(module.to(device))  # type: ignore[return-value]
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(f"There is no device {str(device)!r} to load {path} to ({reason}).") from error


def save(module: Stored, path: str | Path) -> Path:
    """Write a module that was fitted, for ``load``; resuming a fit takes a Trainer's own checkpoint instead.

    Raises:
        CheckpointError: it was never fitted, or the file cannot be written.
        ConfigurationError: an argument of it cannot be stored.
    """
    if module.spec is None:
        raise CheckpointError(f"This {type(module).__name__} was never fitted: there is nothing to save; fit it first.")
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict(), "genrl": module.header()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        torch.save(checkpoint, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written ({error}): name a file in a folder with room.") from error
    return path


def require_resumable(path: str | Path, entry: str = "loops") -> None:
    """Refuse a file that is no checkpoint of a fit, before Lightning reads it; warn of one that lacks a look.

    Args:
        path: of the file; the words by which Lightning looks for one of its own name none.
        entry: what such a checkpoint has, and what ``save`` writes has not.

    Raises:
        CheckpointError: see ``read_file`` and ``read_header``, or the file holds no more than a module.
    """
    checkpoint = _whole(path)
    if entry not in checkpoint:
        raise CheckpointError(
            f"{path} holds a module without the state of its fit, as genrl.save writes it; resuming takes the fit's own"
            " last.ckpt, which 'genrl fit' writes."
        )
    if "loops" in checkpoint and _before_a_look(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]):
        warnings.warn(
            f"{path} was written between the last batch of an epoch and the look at held-out data after it, which is"
            " not made up for: a fit that goes by such looks (patience, the elites of a world model) may end with other"
            " weights than one that was not interrupted. Take a checkpoint written after an epoch, or within one.",
            stacklevel=2,
        )


def require_unfinished(path: str | Path, **bounds: int | None) -> None:
    """Refuse to go on from a fit that has done all its ``max_epochs`` or ``max_steps``; None and -1 bound nothing.

    Raises:
        ConfigurationError: nothing is left to do.
    """
    checkpoint = _whole(path)
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    for name, done in (("max_epochs", epochs), ("max_steps", checkpoint["global_step"])):
        if (bound := bounds.get(name)) is not None and 0 <= bound <= done:
            raise ConfigurationError(
                f"{path} is of a fit that has done {done} {name[4:]}, and of {bound} none is left: raise"
                f" --trainer.{name}, or use the checkpoint as it is."
            )


def _before_a_look(batches: dict[str, Any]) -> bool:
    """Whether a last batch was processed and its hooks were not yet through, by Lightning's own count."""
    return batches["is_last_batch"] and batches["current"]["completed"] < batches["current"]["processed"]


def _whole(path: str | Path) -> dict[str, Any]:
    """The checkpoint, once it is known to hold genrl's own part and weights."""
    checkpoint = read_file(path)
    read_header(checkpoint, path)
    if "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} holds no weights ('state_dict'); fit again or take another copy.")
    return checkpoint


def read_file(path: str | Path) -> dict[str, Any]:
    """The raw checkpoint dictionary on the CPU, read without pickle's code execution.

    Raises:
        CheckpointError: the file is missing, truncated, damaged, or of another kind.
    """
    path = checkpoint_of(path)
    if not path.exists():
        data = " A data set is read by genrl.load_dataset." if re.search(r"-v\d+$", str(path)) else ""
        raise CheckpointError(f"There is no checkpoint at {path}; 'genrl fit' writes one.{data}")
    try:
        if not zipfile.is_zipfile(path):  # torch would take it for a bare pickle
            raise zipfile.BadZipFile("it is not a whole archive")
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():  # which torch does not look at
                raise zipfile.BadZipFile(f"{broken} in it does not fit its checksum")
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, zipfile.BadZipFile, UnpicklingError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({reason}): it is damaged, or no checkpoint of genrl; fit again"
            " or take another copy."
        ) from error
