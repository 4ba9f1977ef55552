"""One cell of the benchmark of policies from play: a policy, played from the starts that all methods share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.cells import Cell
from benchmarks.play import play
from benchmarks.play_acting import acting
from benchmarks.play_models import learner


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Mean score over the evaluation episodes, and the score of each."""
    fitted = learner(cell.arm, cell.environment, cell.seed, cell.settings.get("updates"))
    policy, count = acting(cell.arm, cell.environment, fitted), cell.settings.get("episodes")
    return values_of(play(policy, cell.environment, cell.seed, count=count))


def values_of(scores: np.ndarray) -> dict[str, float]:
    """What a cell keeps of (E,) scores."""
    return {"score": float(scores.mean())} | {f"episode{e:02}": float(score) for e, score in enumerate(scores)}
