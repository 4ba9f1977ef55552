"""Whether a policy gets the return that it expects: DoC by the value of the future it follows, DT by what it asks for.

The learners are those of ``doc_bandit``, ``doc_frozenlake``, ``doc_mujoco`` and ``doc_teleport``, on the same data, and
those of the lakes on a slippery cliff; what those benchmarks have stored is not computed again. ``error.ENV.METHOD`` is
|expected - obtained| return in the mean over seeds, each of these the mean over the evaluation episodes of a seed, in
the environment's own units (bandit, lakes and teleports: from 0 to 1); ``bias.ENV.METHOD`` is the mean of expected -
obtained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import doc_bandit, doc_cells, doc_frozenlake, doc_mujoco, doc_teleport
from benchmarks.cells import REPOSITORY, Cell, CellStore, grid
from benchmarks.doc_cells import CODE
from benchmarks.doc_settings import (
    BANDITS,
    CLIFFS,
    HOPPERS,
    HOPPERS_ALONE,
    HOPPERS_BOLD,
    LAKES,
    SIZES,
    TELEPORT,
)
from benchmarks.doc_tried import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.style import FAINT, colours, label, legend_below
from genrl.evaluation.style import grid as panels

SEEDS = range(5)
ARMS = ("doc", "dt")
PANELS: Mapping[str, Iterable[str]] = {
    "bandit": BANDITS,
    "lake": LAKES,
    "cliff": CLIFFS,
    "hopper": HOPPERS | HOPPERS_ALONE | HOPPERS_BOLD,
    "teleport": [TELEPORT],
}

OTHERS = {
    cell.environment: module.BENCHMARK
    for module in (doc_bandit, doc_frozenlake, doc_mujoco, doc_teleport)
    for cell in module.BENCHMARK.cells
}
"""Where the cells of a place may be stored already."""


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """What another benchmark has stored of the very same cell, or that of ``doc_cells``."""
    known = None
    if other := OTHERS.get(cell.environment):
        store = CellStore(REPOSITORY / "benchmarks" / "cells" / other.name / "reported", other.fingerprint())
        known = store.read(cell)
    return doc_cells.compute(cell, workspace) if known is None else known


def aggregate(results: Results) -> dict[str, float]:
    """Errors of what was expected."""
    figures: dict[str, float] = {}
    for where in results.environments:
        for arm in results.arms:
            gap = results.values(arm, "predicted", where) - results.values(arm, "return", where)
            name = f"{where.replace('-', '.')}.{arm}"
            figures |= {f"error.{name}": float(np.abs(gap).mean()), f"bias.{name}": float(gap.mean())}
    return figures


def picture(results: Results) -> Figure:
    """Obtained over expected return, a point for each environment and seed."""
    shown = {name: [where for where in places if where in results.environments] for name, places in PANELS.items()}
    shown = {name: places for name, places in shown.items() if places}
    figure, axes = panels(len(shown), 5, 2.4, 2.6)
    for panel, (name, places) in zip(axes, shown.items(), strict=True):
        _draw(panel, results, places)
        label(panel, x="expected return", y="obtained return", title=name)
    legend_below(figure, axes[0].collections)
    return figure


def _draw(axes: Axes, results: Results, places: Iterable[str]) -> None:
    """One panel."""
    for arm, colour in colours(results.arms).items():
        expected, obtained = (
            np.concatenate([results.values(arm, key, where) for where in places]) for key in ("predicted", "return")
        )
        axes.scatter(expected, obtained, s=14, color=colour, alpha=0.6, linewidths=0, label=arm)
    ends = [min(*axes.get_xlim(), *axes.get_ylim()), max(*axes.get_xlim(), *axes.get_ylim())]
    axes.plot(ends, ends, color=FAINT, linestyle="--", linewidth=1.2, zorder=0.5)


QUICK = {"trajectories": 100, "updates": 40, "starts": 20}

BENCHMARK = Benchmark(
    name="doc_consistency",
    cells=grid(ARMS, [where for places in PANELS.values() for where in places], SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, where, 0, QUICK) for where in ("p10", "lake4-slip67-eps30") for arm in ARMS],
    code=CODE,
    settings={family: asdict(sizes) for family, sizes in SIZES.items()},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
