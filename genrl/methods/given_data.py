"""A data set that a method is given beside its parts: by its id, or as the Episodes themselves."""

from __future__ import annotations

from pathlib import Path

from genrl.data.episodes import Episodes
from genrl.data.locate import existing_path
from genrl.data.store import load


def folders(data: str | Episodes, root: str | None) -> list[Path]:
    """Where it is stored, for the identity of what is made with it."""
    return [] if isinstance(data, Episodes) else [existing_path(data, root)]


def read(data: str | Episodes, root: str | None) -> Episodes:
    """Its episodes."""
    return data if isinstance(data, Episodes) else load(data, root)
