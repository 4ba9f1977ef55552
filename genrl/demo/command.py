"""``genrl demo``."""

from __future__ import annotations

from pathlib import Path

from genrl.demo.pipeline import run
from genrl.demo.task import Settings


def demo(
    folder: Path = Path("runs/demo"),
    seed: int = 0,
    settings: Settings = Settings(),  # noqa: B008 (frozen)
) -> None:
    """Collect, fit, synthesise, train on real, synthetic and both, evaluate, report: the whole job in one go.

    Args:
        folder: where everything goes; what a former demo left there is replaced.
        seed: the one source of randomness.
        settings: sizes and budgets.
    """
    run(folder, seed, settings)
