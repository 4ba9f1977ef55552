"""What a long synthesis will cost, and how strongly an agent leads it, told after its first block."""

from collections.abc import Mapping
from typing import Any

from genrl.data.episodes import Episodes
from genrl.data.room import size


def forecast(block: Episodes, blocks: int, seconds: float) -> str:
    """One sentence: time left and size of the data set, from the first of ``blocks`` equal blocks."""
    minutes, megabytes = seconds * (blocks - 1) / 60, size(block) * blocks / 1e6
    return (
        f"{blocks} blocks of {block.num_transitions} transitions: about {minutes:.1f} more minutes,"
        f" {megabytes:.1f} MB on disk, {2 * size(block) / 1e6:.1f} MB in memory at once."
    )


def diagnostics_of(method: Any) -> dict[str, float]:
    """What a method that is led tells of its last block; nothing of any other."""
    return dict(getattr(method, "diagnostics", None) or {})


def strength(diagnostics: Mapping[str, float]) -> str:
    """One sentence of what a method tells, such as guidance as a multiple of the model's own updates."""
    return f"In its first block: {', '.join(f'{name} {value:.3g}' for name, value in diagnostics.items())}."
