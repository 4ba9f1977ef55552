"""How MBRCSL and the best of the others fare where the data show less of the goal: by the share of detours.

The cells are those of ``benchmarks.mbrcsl``, on data of which a share takes the detour, the other pauses half way;
``iqm.detoursN.METHOD`` is for N per cent; ``best_in_data``, ``acceptance``, ``kept``, ``predicted`` and ``replayed``
are as there. A rollout is to surpass the best of the data by no margin, as published: by the margin of
``benchmarks.mbrcsl`` none does where few trajectories take the detour. Where a single one does (``kept`` is 1), no
other return is there to tell its own from, and the policy is a clone of it; a share at which none does has no figures:
its cells fail, and are said to be missing.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import mbrcsl_cells
from benchmarks.cells import Cell
from benchmarks.mbrcsl import BENCHMARK as WHOLE
from benchmarks.mbrcsl import QUICK
from benchmarks.mbrcsl_cells import FIGURES, METHODS, learned
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_models import Origin, rollouts
from benchmarks.stitch_settings import Settings
from genrl.evaluation.style import FAINT, colours, grid, label, legend

SEEDS = range(5)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
ARMS = ("mbrcsl", "rvs", "percent_bc")
BESIDE = ("best_in_data", "rollouts")
MARGIN = 0.0


def place(share: float) -> str:
    """Name of the data of which such a share takes the detour."""
    return f"detours{round(100 * share)}"


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """That of ``mbrcsl_cells``, and a clone where there is one rollout alone."""
    origin = Origin(cell.seed, Settings(**cell.settings))
    if cell.arm == "mbrcsl" and len(rollouts(origin)) == 1:
        return learned("bc", rollouts)(origin)
    return mbrcsl_cells.compute(cell, workspace)


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's return with its interval, and the paired gains of MBRCSL, by share."""
    figures: dict[str, float] = {}
    for where in results.environments:
        methods = [arm for arm in results.arms if arm in METHODS]
        for arm in methods:
            figures |= results.scores(arm, "return", where, f"{where}.{arm}")
            if arm != "mbrcsl" and "mbrcsl" in methods:
                figures |= results.gains("mbrcsl", arm, "return", where, f"{where}.{arm}")
        for arm in [arm for arm in results.arms if arm in FIGURES]:
            figures |= {f"{name}.{where}": results.summary(arm, name, where).value for name in FIGURES[arm]}
    return figures


def picture(results: Results) -> Figure:
    """A line for each method over the shares, and one for the best of the data."""
    figure, (axes,) = grid(1, 1, 5.6, 3.4)
    shares = [share for share in SHARES if place(share) in results.environments]
    for arm, colour in colours(ARMS).items():
        values = [results.summary(arm, "return", place(share)) for share in shares]
        axes.plot(shares, [value.value for value in values], color=colour, marker="o", markersize=3, label=arm)
        axes.fill_between(shares, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)
    best = [results.summary("best_in_data", "best_in_data", place(share)).value for share in shares]
    axes.plot(shares, best, color=FAINT, linestyle=":", label="best of the data")
    axes.set_xticks(SHARES)
    fewest = min(len(seeds) for seeds in results.complete.values())
    label(axes, x="share of detours", y=f"return: IQM over {fewest} seeds, 95 % interval")
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


BENCHMARK = Benchmark(
    name="mbrcsl_share",
    cells=[
        Cell(arm, place(share), seed, {"detours": share, "margin": MARGIN})
        for seed in SEEDS
        for share in SHARES
        for arm in (*ARMS, *BESIDE)
    ],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[
        Cell(arm, place(0.3), 0, QUICK | {"detours": 0.3}) for arm in ("mbrcsl", "percent_bc", "best_in_data")
    ],
    tried={arm: count for arm, count in WHOLE.tried.items() if arm in ARMS},
    code=WHOLE.code,
    settings={**WHOLE.settings, "margin": MARGIN},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
