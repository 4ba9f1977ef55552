"""Files that commands write: looked at before the work, so that none of it is lost."""

from __future__ import annotations

import os
from pathlib import Path

from genrl.data.errors import ConfigurationError

PICTURES = (".png", ".pdf", ".svg", ".jpg")


def file_to_write(path: Path) -> Path:
    """``path``, in a folder that is there now.

    Raises:
        ConfigurationError: it is itself something else than a file, or would lie in what is a file, or where nothing
            may be written.
    """
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path} is {'a folder' if path.is_dir() else 'no file'}; name a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{path} cannot be written: part of {path.parent} is a file.") from error
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"{path} may not be written; name a file in a folder of your own.")
    return path


def picture_to_write(path: Path) -> Path:
    """``path`` as ``file_to_write`` has it, of a kind of picture.

    Raises:
        ConfigurationError: as there; the end of its name tells no kind of picture.
    """
    if path.suffix.lower() not in PICTURES:
        raise ConfigurationError(f"{path} names no kind of picture; end it with {', '.join(PICTURES)}.")
    return file_to_write(path)
