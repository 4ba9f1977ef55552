"""Plans from one cell of a maze to another: how many arrive, and by how many ways.

In ``PointMaze_Medium-v3``, from journeys of genrl's own controller between goals. An outcome is the first and the last
cell; they are drawn, for every seed, among those that several ways join. Each arm makes ``plans`` plans for each
outcome, and all are carried out in the simulator by one controller, which goes straight from waypoint to waypoint and
knows nothing of the walls: ``ocgfn`` draws routes of cells until one has the wanted ends (at most ``tries``),
``trajectory_diffusion`` the states of a window given the first state and the last place, ``nearest`` takes the plans of
the data whose ends are nearest to those wanted. Fits are about equally long in CPU time, which is too short for
diffusion: ``trajectory_diffusion_long`` has twelve times as many updates.
``reached.METHOD`` is the share of plans that end in the wanted cell. ``routes.METHOD`` is the number of different ways
among those that arrive, in the mean over outcomes: the cells that were really come through, without loops.
``seconds.METHOD`` is the CPU time of the fit.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.ocgfn_plans_cells import ARMS, CODE, ENV_ID, Sizes, compute
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.style import colours, label
from genrl.evaluation.style import grid as panels

OURS = "ocgfn"
FIGURES = {"reached": "share of plans that arrive", "routes": "different ways for an outcome"}


def aggregate(results: Results) -> dict[str, float]:
    """Means over seeds, and what OC-GFN has ahead of each other arm."""
    if not results.environments:
        return {}
    figures: dict[str, float] = {}
    for arm in results.arms:
        figures |= {f"{key}.{arm}": float(results.values(arm, key).mean()) for key in (*FIGURES, "seconds")}
    if OURS in results.arms:
        for arm in results.arms[1:]:
            figures |= {f"gain_{key}.{arm}": figures[f"{key}.{OURS}"] - figures[f"{key}.{arm}"] for key in FIGURES}
    return figures


def picture(results: Results) -> Figure:
    """A bar for each arm, a dot for each seed."""
    figure, axes = panels(len(FIGURES), 2, 3.6, 3.0)
    for panel, (key, name) in zip(axes, FIGURES.items(), strict=True):
        for place, (arm, colour) in enumerate(colours(results.arms).items()):
            values = results.values(arm, key)
            panel.bar(place, values.mean(), width=0.6, color=colour, alpha=0.4)
            panel.plot(np.full(len(values), place), values, "o", color=colour, markersize=4)
        panel.set_xticks(range(len(results.arms)), [arm.replace("_", "\n") for arm in results.arms])
        label(panel, y=name)
    return figure


QUICK = {"episodes": 20, "outcomes": 2, "plans": 4, "steps": 300, "ocgfn_updates": 40}
QUICK |= {"diffusion_updates": 30, "diffusion_long_updates": 30}

BENCHMARK = Benchmark(
    name="ocgfn_plans",
    cells=grid(ARMS, seeds=range(3)),
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[Cell(arm, settings=QUICK) for arm in ARMS],
    tried={"ocgfn": 10, "trajectory_diffusion": 9, "trajectory_diffusion_long": 3},
    tuning_cells=grid(ARMS, seeds=(1000,)),
    code=CODE,
    settings={**asdict(Sizes()), "environment": ENV_ID},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
