"""Files that commands write: looked at before the work, so that none of it is lost."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase

from genrl.data.errors import ConfigurationError


def file_to_write(path: Path) -> Path:
    """``path``, in a folder that is there now.

    Raises:
        ConfigurationError: it is itself a folder, or would lie in what is a file.
    """
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; name a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{path} cannot be written: part of {path.parent} is a file.") from error
    return path


def picture_to_write(path: Path) -> Path:
    """``path`` as ``file_to_write`` has it, of a kind of picture.

    Raises:
        ConfigurationError: as there; the end of its name tells no kind of picture.
    """
    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in kinds:
        raise ConfigurationError(f"{path} names no kind of picture; end it with {', '.join(f'.{k}' for k in kinds)}.")
    return file_to_write(path)
