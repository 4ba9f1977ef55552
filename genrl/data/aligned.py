"""Text in two columns, as the commands print what they found."""

from __future__ import annotations

from collections.abc import Iterable


def aligned(rows: Iterable[tuple[str, str]]) -> str:
    """One line for each (quantity, value), the values under one another."""
    lines = list(rows)
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
