"""OC-GFN on grids: whether it builds what it is asked for, and what it draws when turned to a reward.

Every cell of a square is an object, and objects are explored without any reward. ``covered.SIZE`` is the share of all
cells that the explorer came to among the last 10,000 trajectories; ``success_covered.SIZE`` the probability P(x = y),
exact, in the mean over all these taken evenly (``worst_covered``: the least), and ``success_held_out.SIZE`` that over a
tenth of all cells which another fit was kept from altogether. ``zero_shot_tv.SIZE`` is the exact total variation
between the grid's own reward and what the model draws when turned to it by the sum over outcomes, without training;
``amortised_tv.SIZE`` the same where the sums are learned, by as many updates again, and
``uniform_tv`` that of even draws. ``success_positives_only`` is P(x = y) on the smaller grid of a fit without the
model's own trajectories.
"""

from __future__ import annotations

from dataclasses import asdict

from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.ocgfn_cells import GRID_CODE, compute_grid
from benchmarks.ocgfn_settings import GRID_ARMS, GRIDS, TRIED
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.curves import bars

SEEDS = range(3)
ARMS = (*GRID_ARMS, "amortised")
NAMES = {
    "ocgfn": {
        "covered": "covered",
        "success": "success_covered",
        "worst": "worst_covered",
        "zero_shot_tv": "zero_shot_tv",
        "uniform_tv": "uniform_tv",
    },
    "held_out": {"success": "success_held_out"},
    "amortised": {"amortised_tv": "amortised_tv"},
}


def aggregate(results: Results) -> dict[str, float]:
    """Means over seeds, and the least of them where more is better, the largest of distances."""
    figures: dict[str, float] = {}
    for where in results.environments:
        for arm in [arm for arm in NAMES if arm in results.arms]:
            for key, name in NAMES[arm].items():
                values = results.values(arm, key, where)
                worst = values.max() if name.endswith("tv") else values.min()
                figures |= {f"{name}.{where}": values.mean(), f"worst_seed_{name}.{where}": worst}
    if "positives_only" in results.arms:
        figures["success_positives_only"] = results.values("positives_only", "success", "grid8").mean()
    return figures


def picture(results: Results) -> Figure:
    """Chance of what was asked for, by arm."""
    where = results.environments[-1]
    names = {"ocgfn": "asked for what was explored", "held_out": "asked for what was held out"}
    return bars(
        {names[arm]: results.summary(arm, "success", where) for arm in names if arm in results.arms},
        f"P(x = y) on {where}: mean over {len(results.complete[where])} seeds",
        digits=3,
    )


QUICK = {"updates": 12, "batch": 16}

BENCHMARK = Benchmark(
    name="ocgfn_grid",
    cells=[cell for cell in grid(ARMS, GRIDS, SEEDS) if cell.arm != "positives_only" or cell.environment == "grid8"],
    compute=compute_grid,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    quick_cells=[Cell(arm, "grid8", 0, QUICK) for arm in ARMS],
    code=GRID_CODE,
    settings={where: asdict(place.sizes) for where, place in GRIDS.items()}
    | {"network": "MLPs of three layers of 256 units", "explored": "trajectory balance paid by a random network"},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
