"""One line from a checkpoint file back to a method or learner."""

from __future__ import annotations

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from genrl.data.errors import CheckpointError
from genrl.training.module import Trainable, frozen, read_header, rebuild


def load(path: str | Path, device: str | torch.device = "cpu") -> Trainable:
    """The method or learner stored at ``path``, in evaluation mode, with its averaged weights where it has them.

    Raises:
        CheckpointError: the file is missing, truncated, not from genrl, or of an unknown format version.
    """
    checkpoint = read_file(path, device)
    module = rebuild(read_header(checkpoint, path))
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its own configuration: {error}") from error
    return frozen(module.to(device))  # type: ignore[return-value]


def save(module: Trainable, path: str | Path) -> Path:
    """Write a module that was fitted, for ``load``; resuming a fit takes a Trainer's own checkpoint instead."""
    if module.spec is None:
        raise CheckpointError(f"This {type(module).__name__} was never fitted: there is nothing to save; fit it first.")
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    torch.save(checkpoint, temporary)
    temporary.replace(path)
    return path


def read_file(path: str | Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """The raw checkpoint dictionary, read without pickle's code execution.

    Raises:
        CheckpointError: the file is missing, truncated, or of another kind.
    """
    if not Path(path).exists():
        raise CheckpointError(f"There is no checkpoint at {path}; 'genrl fit' writes one.")
    try:
        if not zipfile.is_zipfile(path):  # torch would take it for a bare pickle
            raise zipfile.BadZipFile("it is not a whole archive")
        return torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, zipfile.BadZipFile, UnpicklingError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({reason}): it is truncated, or no checkpoint of genrl; fit again"
            " or take another copy."
        ) from error
