"""Policies from play data: BESO and its form by flow matching beside three ways to do without denoising.

Methods: beso, flow, sequence_bc (squared error), latent_plan (a latent variable, after LMP), behavior_transformer
(discretised actions with offsets, after BeT). All have the same windows, network, batches and number of updates, and
play from the same starts. Data sets: ``pusht``, human demonstrations; ``cube``, ``scene`` and ``pointmaze`` as OGBench
makes them, 100,000 transitions each, a tenth of OGBench's (see ``benchmarks.play``). Scores are success at OGBench's
five official tasks, ten episodes each, and the largest coverage of an episode over 50 starts for ``pusht``.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmarks.beso_cells import compute
from benchmarks.cells import Cell, grid
from benchmarks.play_acting import EXECUTE, STEPS, TRIED
from benchmarks.play_models import BATCH, CODE, GOALS, LEARNERS, UPDATES, WINDOW
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.curves import panels_of_bars

PLACES = ["pusht", "cube", "pointmaze", "scene"]
SEEDS = range(5)
LEFT_OUT = {("latent_plan", place) for place in PLACES[1:]}
"""Its three networks take three times as long to fit as one: here on ``pusht`` alone."""
PUBLISHED = {
    "cube": {"gcbc": 0.06, "gcivl": 0.53, "gciql": 0.68, "qrl": 0.05, "crl": 0.19, "hiql": 0.15},
    "scene": {"gcbc": 0.05, "gcivl": 0.42, "gciql": 0.51, "qrl": 0.05, "crl": 0.19, "hiql": 0.38},
    "pointmaze": {"gcbc": 0.09, "gcivl": 0.63, "gciql": 0.53, "qrl": 0.82, "crl": 0.29, "hiql": 0.79},
}
"""OGBench's own success rates (Park et al. 2025, https://arxiv.org/abs/2410.20092, table 2): not ours, and not on ours.

They had ten times the data, a million updates, 50 episodes for each of the five tasks and 8 seeds.
"""


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's score with its interval, and the paired gains of BESO."""
    figures: dict[str, float] = {}
    for place in results.environments:
        arms = [arm for arm in results.arms if results.cells(arm, place)]
        for arm in arms:
            figures |= results.scores(arm, "score", place, f"{place}.{arm}")
            if arm != "beso" and "beso" in arms:
                figures |= results.gains("beso", arm, "score", place, f"{place}.{arm}")
        figures |= {f"published.{place}.{name}": rate for name, rate in PUBLISHED.get(place, {}).items()}
    return figures


def picture(results: Results) -> Figure:
    """A panel for each data set, a bar for each method."""
    panels = {
        f"{place} ({len(results.complete[place])} seeds)": {
            arm: results.summary(arm, "score", place) for arm in results.arms if results.cells(arm, place)
        }
        for place in results.environments
    }
    return panels_of_bars(panels, "score, 0 to 1: interquartile mean over seeds, 95 % interval", digits=2)


BENCHMARK = Benchmark(
    name="beso",
    cells=[cell for cell in grid(LEARNERS, PLACES, SEEDS) if (cell.arm, cell.environment) not in LEFT_OUT],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "pointmaze", 0, {"updates": 50, "episodes": 5}) for arm in ("beso", "sequence_bc")],
    code=["benchmarks/beso_cells.py", "benchmarks/play_acting.py", *CODE],
    settings={
        "updates": UPDATES,
        "batch": BATCH,
        "history": WINDOW["history"],
        "chunk": WINDOW["chunk"],
        "executed": EXECUTE,
        "network_calls": STEPS,
        "goal_discount": GOALS,
        "network": "transformer of 0.83 M parameters (the paper: 2.9 and 9.4 M)",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
