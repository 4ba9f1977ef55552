"""Policies from play data: BESO and its form by flow matching beside three ways to do without denoising.

Methods: beso, flow, sequence_bc (squared error), latent_plan (a latent variable, after LMP), behavior_transformer
(discretised actions with offsets, after BeT). All have the same windows, network, batches and number of updates, and
play from the same starts. Data sets: ``pusht``, human demonstrations; ``cube``, ``scene`` and ``pointmaze`` as OGBench
makes them, 100,000 transitions each, a tenth of OGBench's (see ``benchmarks.play``). Scores are success at OGBench's
five official tasks, ten episodes each, and the largest coverage of an episode over 50 starts for ``pusht``.

``published`` in the settings holds figures of others, for orientation: of OGBench's authors with ten times the data, a
million updates and networks of 3 x 512, in per cent; and of Diffusion Policy's, which divide coverage by 0.95 and take
the best checkpoint.
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
PUBLISHED = {
    "ogbench": {
        "cube": {"GCBC": 6, "GCIVL": 53, "GCIQL": 68, "QRL": 5, "CRL": 19, "HIQL": 15},
        "scene": {"GCBC": 5, "GCIVL": 42, "GCIQL": 51, "QRL": 5, "CRL": 19, "HIQL": 38},
        "pointmaze": {"GCBC": 9, "GCIVL": 63, "GCIQL": 53, "QRL": 82, "CRL": 29, "HIQL": 79},
        "source": "Park et al. 2024, arXiv:2410.20092: cube-single-play, scene-play, pointmaze-medium-navigate",
    },
    "pusht": {
        "LSTM-GMM": 0.67,
        "IBC": 0.90,
        "BET": 0.79,
        "Diffusion Policy": 0.95,
        "source": "Chi et al. 2023, arXiv:2303.04137, table 1: state observations, best checkpoint",
    },
}


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
    quick_cells=[Cell(arm, "pointmaze", 0, {"updates": 50}) for arm in ("beso", "sequence_bc")],
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
        "published": PUBLISHED,
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
