"""Learned dynamics beside the simulator, and the speed of the ensemble beside that of the MBRCSL reference.

    python -m benchmarks.dynamics [--reference DIR] [--quick]

``error.MODEL.hH`` is how far a model is from the simulator H steps after the same real state, by the same recorded
actions and without a look at any real state in between. Data, maze and ensemble are those of ``benchmarks.mbrcsl``; the
diffusion dynamics are fitted to the same data by as many updates. Fresh episodes, apart from all that anything was
fitted to, are cut into pieces of H steps. A state's error is the root mean square over its columns, each in standard
deviations of its change over H real steps; of a seed it is the median over pieces (``error90``: the 90 % quantile),
then the interquartile mean over seeds, with its interval in ``error_low`` and ``error_high``. Models draw their steps
as in all rollouts, so noise that they believe in counts as error. Beside them, ``unchanged`` predicts the state that
the piece begins with, and ``recorded`` is the real state itself, which the simulator comes back to.

``DIR`` is a checkout of the reference; without it the speed is left out. Both sides have the reference's network (7
members, 5 of which predict, 4 layers of 200) and batches (256), take turns on one core, and are found to say the same
with the same weights before. ``ratio.train`` is the reference's CPU time for an update over ours. Ours is a fit as
users start it, with its bootstrap, loss, decay, schedule and log; theirs is ``learn`` with its arrays, without the
passes between epochs. ``ratio.rollout`` is the same for 200 rollouts of 200 steps by given actions; like theirs, ours
keeps nothing but the episodes, and ``ratio.rollout_with_disagreement`` is of ours as they are by default, which tell
how far the members are apart. ``limit_fraction`` is the share of our time that the bare network takes, forward and
backward in an update (``limit_fraction.train_with_step``: and the optimiser's step), forward of each row by one member
in a rollout; ``attainable`` is the ratio if that were all of it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.dynamics_cells import ARMS, BATCH, CODE, FRESH, HORIZONS, ROLLOUTS, ROUNDS, STEPS, compute
from benchmarks.dynamics_reference import GIVEN, MISSING, REPOSITORY, find_reference, given
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.stitch_settings import Settings
from genrl.evaluation import style

SPEEDS = ("train", "rollout")
PER_TURN = {"train": 1, "rollout": ROLLOUTS * STEPS}
UNITS = {"train": "updates_per_second", "rollout": "transitions_per_second"}


def obstacle(cell: Cell) -> str:
    """How to get the reference, for a cell that needs it."""
    return "" if given() or cell.environment not in SPEEDS else MISSING


def aggregate(results: Results) -> dict[str, float]:
    """Ratios of medians over the runs; interquartile means of errors with their intervals."""
    figures: dict[str, float] = {}
    for task in [task for task in SPEEDS if task in results.environments]:
        figures |= _speed(results, task)
    if "error" in results.environments:
        for arm in [arm for arm in results.arms if arm in ARMS]:
            for horizon in [f"h{horizon}" for horizon in HORIZONS]:
                value = results.summary(arm, horizon, "error")
                name = f"{arm}.{horizon}"
                figures |= {f"error.{name}": value.value, f"error_low.{name}": value.low}
                figures |= {f"error_high.{name}": value.high}
                figures[f"error90.{name}"] = results.summary(arm, f"high_{horizon}", "error").value
    return figures


def _speed(results: Results, task: str) -> dict[str, float]:
    keys = results.done[results.cells("turns", task)[0]]
    value = {key: float(np.median(results.values("turns", key, task))) for key in keys}
    figures = {
        f"ratio.{task}": value["reference"] / value["ours"],
        f"attainable.{task}": value["reference"] / value["bare"],
        f"limit_fraction.{task}": value["bare"] / value["ours"],
        "parameters.ours": value["parameters"],
        "parameters.reference": value["reference_parameters"],
    }
    if "telling" in value:
        figures[f"ratio.{task}_with_disagreement"] = value["reference"] / value["telling"]
    if "bare_and_step" in value:
        figures[f"limit_fraction.{task}_with_step"] = value["bare_and_step"] / value["ours"]
    return figures | {f"{UNITS[task]}.{side}": PER_TURN[task] / value[side] for side in ("ours", "reference")}


def picture(results: Results) -> Figure:
    """Error against horizon: a line for each model over its 90 % quantile, dotted."""
    figure, (axes,) = style.grid(1, 1, 5.6, 3.4)
    shown = [arm for arm in ("ensemble", "diffusion", "unchanged") if arm in results.arms]
    for arm, colour in style.colours(shown).items():
        values = [results.summary(arm, f"h{horizon}", "error") for horizon in HORIZONS]
        high = [results.summary(arm, f"high_h{horizon}", "error").value for horizon in HORIZONS]
        axes.plot(HORIZONS, [value.value for value in values], color=colour, marker="o", markersize=3, label=arm)
        axes.fill_between(HORIZONS, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)
        axes.plot(HORIZONS, high, color=colour, linestyle=":", linewidth=1.2, label=f"{arm}, 90 %")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(HORIZONS, [str(horizon) for horizon in HORIZONS])
    style.label(axes, x="steps from the real state", y="error, std of the real change over so many steps")
    if shown:
        style.legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


QUICK = {"trajectories": 24, "world_updates": 200, "fresh": 3}

BENCHMARK = Benchmark(
    name="dynamics",
    cells=[*grid(ARMS, ["error"], range(5)), *grid(["turns"], SPEEDS, range(5))],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    quick_cells=[
        *(Cell(arm, "error", 0, QUICK) for arm in ARMS),
        *(Cell("turns", task, 0, {"trajectories": 24, "rounds": 1}) for task in SPEEDS),
    ],
    code=CODE,
    settings={
        key: value
        for key, value in asdict(Settings()).items()
        if key in {"detours", "trajectories"} or key.startswith("world_")
    }
    | {
        "batch": BATCH,
        "fresh_episodes": FRESH,
        "diffusion": "three layers of 256 units, eight steps",
        "speed": "7 members, 5 of which predict, 4 layers of 200; 200 rollouts of 200 steps",
        "unit": "CPU seconds on one core; median over turns, then over runs",
        "turns": ROUNDS,
        "reference": REPOSITORY,
    },
    obstacle=obstacle,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--reference", default=given())
    options, rest = parser.parse_known_args()
    if options.reference:
        os.environ[GIVEN] = str(find_reference(options.reference))
    raise SystemExit(main(BENCHMARK, rest))
