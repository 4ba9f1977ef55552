"""Text files that commands write: all of one or nothing, so that an older one stays until the new one is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from genrl.data.errors import ConfigurationError


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path``; what was there is replaced.

    Raises:
        ConfigurationError: there is no room for it, or it may not be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            staged = Path(folder) / path.name
            staged.write_text(text, encoding="utf-8")
            os.replace(staged, path)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror or error}); make room, or name another file."
        ) from error
