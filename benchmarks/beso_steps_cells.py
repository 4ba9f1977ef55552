"""One cell of the benchmark of steps: a fitted BESO, sampled in its own way, played from the shared starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.beso_cells import values_of
from benchmarks.cells import Cell
from benchmarks.play import play
from benchmarks.play_acting import EXECUTE, GUIDANCE, SAMPLING, TOGETHER
from benchmarks.play_models import learner


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Mean score, and that of each episode, with the solver, steps and lambda of the cell's settings."""
    settings, place = cell.settings, cell.environment
    fitted = learner("beso", place, cell.seed, settings.get("updates"))
    sampling = replace(SAMPLING[place], **{name: settings[name] for name in ("solver", "steps") if name in settings})
    guidance = settings.get("guidance", GUIDANCE[place])
    policy = fitted.policy(execute=EXECUTE, together=TOGETHER, sampling=sampling, guidance=guidance)
    return values_of(play(policy, place, cell.seed, count=settings.get("episodes")))
