"""How many steps BESO needs, and how much guidance: one fitted model, sampled in many ways from the same starts.

The models are those of ``benchmarks.beso``. ``score.DATA.SOLVERn`` is the interquartile mean over seeds with so many
steps, ``lambda.DATA.lN`` that in three steps with guidance of weight N / 100. ``retention_3_of_50.DATA`` is the sum of
scores with 3 steps over that with 50 over all seeds and starts, for the default solver, and ``retention_low`` the lower
end of its 95 % interval, by a bootstrap over pairs of a seed and a start. Data sets on which 50 steps score below 0.3
are left out of it: the ratio of two small numbers says nothing.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks.beso_steps_cells import compute
from benchmarks.cells import Cell
from benchmarks.play_acting import EXECUTE, SOLVER, STEPS, TRIED
from benchmarks.play_models import BATCH, CODE, UPDATES
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.statistics import bootstrap_ratio
from genrl.evaluation.style import colours, grid, label, legend

PLACES = ["pusht", "cube", "pointmaze", "scene"]
SEEDS = range(5)
CALLS = (1, 2, 3, 5, 10, 20, 50)
SOLVERS = ("ddim", "dpmpp_2m")
LAMBDAS = (0.0, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
ENOUGH = 0.3
EPISODES = [f"episode{e:02}" for e in range(50)]


def stepped(solver: str, steps: int) -> tuple[str, dict[str, str | int]]:
    """Name and settings of an arm that takes so many steps."""
    return f"{solver}{steps}", {"solver": solver, "steps": steps}


def weighted(weight: float) -> tuple[str, dict[str, float]]:
    """Name and settings of an arm with guidance."""
    return f"l{round(100 * weight)}", {"guidance": weight}


ARMS = [stepped(solver, steps) for solver in SOLVERS for steps in CALLS] + [weighted(weight) for weight in LAMBDAS]


def aggregate(results: Results) -> dict[str, float]:
    """Scores by steps and by lambda, and how much of 50 steps is left with 3."""
    figures: dict[str, float] = {}
    few, many = f"{SOLVER}3", f"{SOLVER}50"
    for place in results.environments:
        for arm in results.arms:
            group = "lambda" if arm.startswith("l") else "score"
            figures[f"{group}.{place}.{arm}"] = results.summary(arm, "score", place).value
        if {few, many} <= set(results.arms):
            short, long = (_episodes(results, arm, place) for arm in (few, many))
            figures[f"score_of_50.{place}"] = float(long.mean())
            if long.mean() >= ENOUGH:
                kept = bootstrap_ratio(short, long)
                figures |= {f"retention_3_of_50.{place}": kept.value, f"retention_low.{place}": kept.low}
    return figures


def _episodes(results: Results, arm: str, place: str) -> np.ndarray:
    """(seeds x E,) score of each episode."""
    return np.stack([results.values(arm, name, place) for name in EPISODES], axis=1).ravel()


def picture(results: Results) -> Figure:
    """A row for each data set: score over steps by solver, and over lambda."""
    figure, axes = grid(2 * len(results.environments), 2, 4.2, 2.8)
    for row, place in enumerate(results.environments):
        by_steps, by_weight = axes[2 * row : 2 * row + 2]
        for solver, colour in colours(SOLVERS).items():
            values = [results.summary(f"{solver}{steps}", "score", place) for steps in CALLS]
            by_steps.plot(
                CALLS, [value.value for value in values], color=colour, marker="o", markersize=3, label=solver
            )
            by_steps.fill_between(CALLS, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)
        values = [results.summary(weighted(weight)[0], "score", place) for weight in LAMBDAS]
        by_weight.plot(LAMBDAS, [value.value for value in values], color="#333333", marker="o", markersize=3)
        by_weight.fill_between(LAMBDAS, [v.low for v in values], [v.high for v in values], color="#333333", alpha=0.15)
        by_steps.set_xscale("log")
        by_steps.set_xticks(CALLS, [str(steps) for steps in CALLS])
        label(by_steps, x="network calls", y="score", title=f"{place} ({len(results.complete[place])} seeds)")
        label(by_weight, x="guidance $\\lambda$", y="score", title=f"{place}, {STEPS} steps")
    legend(axes[0])
    return figure


BENCHMARK = Benchmark(
    name="beso_steps",
    cells=[Cell(arm, place, seed, settings) for seed in SEEDS for place in PLACES for arm, settings in ARMS],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[
        Cell(arm, "pointmaze", 0, {**settings, "updates": 50, "episodes": 5})
        for arm, settings in (stepped("ddim", 3), weighted(0.0))
    ],
    tried={arm: TRIED["beso"] for arm, _ in ARMS},
    code=["benchmarks/beso_steps_cells.py", "benchmarks/beso_cells.py", "benchmarks/play_acting.py", *CODE],
    settings={"updates": UPDATES, "batch": BATCH, "executed": EXECUTE, "solver": SOLVER},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
