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
from benchmarks.play_models import BATCH, CODE, EXECUTE, GOALS, LEARNERS, STEPS, TRIED, UPDATES, WINDOW
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.curves import panels_of_bars

PLACES = ["pusht", "cube", "pointmaze", "scene"]
SEEDS = range(5)


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's score with its interval, and the paired gains of BESO."""
    figures: dict[str, float] = {}
    for place in results.environments:
        for arm in results.arms:
            interval = results.summary(arm, "score", place)
            figures |= {f"iqm.{place}.{arm}": interval.value}
            figures |= {f"low.{place}.{arm}": interval.low, f"high.{place}.{arm}": interval.high}
            if arm != "beso" and "beso" in results.arms:
                gain = results.gain("beso", arm, "score", place)
                figures |= {f"gain.{place}.{arm}": gain.value}
                figures |= {f"gain_low.{place}.{arm}": gain.low, f"gain_high.{place}.{arm}": gain.high}
    return figures


def picture(results: Results) -> Figure:
    """A panel for each data set, a bar for each method."""
    panels = {
        f"{place} ({len(results.complete[place])} seeds)": {
            arm: results.summary(arm, "score", place) for arm in results.arms
        }
        for place in results.environments
    }
    return panels_of_bars(panels, "score, 0 to 1: interquartile mean over seeds, 95 % interval")


BENCHMARK = Benchmark(
    name="beso",
    cells=grid(LEARNERS, PLACES, SEEDS),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "pointmaze", 0, {"updates": 50, "episodes": 5}) for arm in ("beso", "sequence_bc")],
    code=["benchmarks/beso_cells.py", *CODE],
    settings={
        "updates": UPDATES,
        "batch": BATCH,
        "history": WINDOW["history"],
        "chunk": WINDOW["chunk"],
        "executed": EXECUTE,
        "network_calls": STEPS,
        "goal_discount": GOALS,
        "network": "transformer of 0.36 M parameters (the paper: 2.9 and 9.4 M)",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
