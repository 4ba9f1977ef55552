"""DoC on Hopper with noise on its actions, by how much of it there is.

``iqm.ENV.NOISE.METHOD`` is the interquartile mean over seeds of the mean return of an episode, ``noise50`` for a scale
sigma of 0.5; ``gain.*.METHOD`` is the paired gain of DoC over it, and ``data.ENV.NOISE`` the mean return of the data.
These come from stochastic actors (not D4RL's; see ``benchmarks/locomotion.py``) in the same noise, none of which knew
any when it was trained:

- ``hopper``: three take turns within an episode, each for 25 steps in the mean, so that there is a choice in every
  state, and nobody is misled by luck: the one with the highest returns is the best on average;
- ``hopper_alone``: each of the three acts for whole episodes, and after the first steps the state tells who it is;
- ``hopper_bold``: a careful one and a bold one, with twice the actions that its maker meant, take turns of 50 steps.
  Alone, in noise of sigma 1, the bold one has the best episodes of all and the worse mean.

The Markov form, MLPs of the present state, with a latent of the next 20 steps, chosen anew after 5; equal numbers of
updates and batches for all arms. All act by the likeliest action: Decision Transformer and the clones, fitted by
squared error, know no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import doc_cells
from benchmarks.cells import Cell, grid
from benchmarks.doc_cells import CODE
from benchmarks.doc_settings import HOPPERS, HOPPERS_ALONE, HOPPERS_BOLD, NOISES, SIZES
from benchmarks.doc_tried import TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.curves import panels_of_bars

SEEDS, MORE_SEEDS = range(5), range(5, 10)
MISLEADING = ["hopper_bold-noise100"]
"""Where luck misleads: with more seeds, for five did not tell future-conditioned auto-encoder from DoC."""

ARMS = ("doc", "dt", "future_vae", "percent_bc")


def compute(cell: Cell, workspace: Path) -> Mapping[str, float]:
    """That of ``doc_cells``; the arm ``data`` is the mean return of the data."""
    return doc_cells.data_return(cell) if cell.arm == "data" else doc_cells.compute(cell, workspace)


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each method's return with its interval, and the paired gains of DoC."""
    figures: dict[str, float] = {}
    for where in results.environments:
        name = where.replace("-", ".")
        for arm in [arm for arm in results.arms if arm in ARMS]:
            figures |= results.scores(arm, "return", where, f"{name}.{arm}")
            if arm != "doc" and "doc" in results.arms:
                figures |= results.gains("doc", arm, "return", where, f"{name}.{arm}")
        if "data" in results.arms:
            figures[f"data.{name}"] = results.summary("data", "return", where).value
    return figures


def picture(results: Results) -> Figure:
    """Bars for each scale of the noise, data by data."""
    bars = {
        where.replace("-", ", "): {arm: results.summary(arm, "return", where) for arm in results.arms}
        for where in results.environments
    }
    return panels_of_bars(bars, "return: interquartile mean over seeds, 95 % interval", digits=0, columns=len(NOISES))


QUICK = {"trajectories": 3, "updates": 15, "starts": 1}

BENCHMARK = Benchmark(
    name="doc_mujoco",
    cells=[
        *grid([*ARMS, "data"], HOPPERS | HOPPERS_ALONE | HOPPERS_BOLD, SEEDS),
        *grid([*ARMS, "data"], MISLEADING, MORE_SEEDS),
    ],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "hopper-noise50", 0, QUICK) for arm in (*ARMS, "data")],
    code=CODE,
    settings={
        **{family: asdict(SIZES[family]) for family in ("hopper", "hopper_alone", "hopper_bold")},
        "network": "MLPs of two layers of 256 units, a transformer of two of 64",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
