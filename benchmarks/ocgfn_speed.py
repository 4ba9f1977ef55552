"""The speed of OC-GFN's pre-training beside a bare loop over torchgfn that does the same.

Both sides have the same networks, weights, draws and losses on an 8 x 8 grid, and take turns on one core;
``max_loss_difference`` is the largest distance of their losses over the first 20 updates in double precision
(``max_loss_difference_single`` in that in which both are timed: a draw that falls between the two sides' roundings
leads to other trajectories). The bare loop has torchgfn's sampler, container, losses and estimators, and nothing
around; ours is a fit as users start it. ``overhead.bB`` is what ours takes more of the bare loop's CPU time for an
update at batch B, as a share, so below 0 it takes less: our sampler goes around what torchgfn's costs in every step,
and our balance computes the flow of a state once, not twice. ``overhead_same_sampler.bB`` is the same with our sampler
on both sides, and ``gain.bB`` the bare loop's time over ours.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.ocgfn_speed_cells import CODE, ROUNDS, compute
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.style import grid as panels
from genrl.evaluation.style import label

BATCHES = ("b64", "b1024")
ARMS = ("turns", "losses")


def aggregate(results: Results) -> dict[str, float]:
    """Ratios of medians over the runs."""
    figures: dict[str, float] = {}
    differences: dict[str, list[float]] = {"losses": [], "turns": []}
    for where in results.environments:
        names = ("ours", "bare", "bare_our_sampler")
        seconds = {name: float(np.median(results.values("turns", name, where))) for name in names}
        figures |= {
            f"overhead.{where}": seconds["ours"] / seconds["bare"] - 1,
            f"overhead_same_sampler.{where}": seconds["ours"] / seconds["bare_our_sampler"] - 1,
            f"gain.{where}": seconds["bare"] / seconds["ours"],
            f"updates_per_second.{where}": 1 / seconds["ours"],
        }
        for arm, found in differences.items():
            found += results.values(arm, "difference", where).tolist() if arm in results.arms else []
    names_of = {"losses": "max_loss_difference", "turns": "max_loss_difference_single"}
    return figures | {names_of[arm]: max(found) for arm, found in differences.items() if found}


def picture(results: Results) -> Figure:
    """CPU time of an update, by batch."""
    figure, (axes,) = panels(1, 1, 4.6, 2.6)
    names = {"ours": "genrl", "bare_our_sampler": "bare loop, our sampler", "bare": "bare loop over torchgfn"}
    for row, (key, name) in enumerate(names.items()):
        for shift, where in enumerate(results.environments):
            value = float(np.median(results.values("turns", key, where)))
            axes.barh(row + 0.35 * shift, 1000 * value, height=0.3, alpha=0.9, color=f"C{shift}")
            axes.text(1000 * value, row + 0.35 * shift, f" {name}, {where}", va="center", fontsize=7)
    axes.set_yticks([])
    axes.margins(x=0.55)
    label(axes, x="CPU milliseconds for an update", y="")
    return figure


BENCHMARK = Benchmark(
    name="ocgfn_speed",
    cells=grid(ARMS, BATCHES, range(3)),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[Cell(arm, "b64", 0, {"rounds": 1}) for arm in ARMS],
    code=CODE,
    settings={"turns": ROUNDS, "unit": "CPU seconds on one core; median over turns, then over runs"},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
