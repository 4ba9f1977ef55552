"""How long one action takes: BESO's policy beside its bare network calls, the reference's agent and scheduler loops.

    python -m benchmarks.beso_latency [--reference DIR] [--quick]

``DIR`` is a checkout of the reference; without it its rows are left out. Three steps of DDIM on the linear grid, so
three calls of the network: for ``kitchen`` of the reference's size (6 layers, 360 wide), for ``small`` our default one,
with random weights. Ours is a policy as an evaluation drives it, from numpy observations and goals to numpy actions
inside the space.

``overhead.batchB`` is the time of an action over that of three bare calls, for B environments at once, on ``kitchen``;
``overheads`` has it for every network, and under classifier-free guidance (``_guided``, lambda 1.5, both branches in a
call). ``ratio.beso_reference`` is the reference's time for one action over ours, as its evaluation acts: around every
action it exchanges its weights for their average and back, which changes nothing once weights are loaded. In
``beside_reference``, ``ratio_spared`` leaves that out, ``attainable`` is the ratio if ours were its bare calls alone,
and ``limit_fraction`` how near to that it is. ``schedulers`` holds a bare loop around a scheduler of diffusers on our
network, which observes nothing, against ours, whole.
"""

from __future__ import annotations

import argparse
import os

import numpy as np

from benchmarks.beso_latency_cells import ROUNDS, compute
from benchmarks.beso_latency_reference import GIVEN, MISSING, REPOSITORY, STEPS, find_reference, given
from benchmarks.cells import Cell, grid
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from benchmarks.scheduler_loops import SCHEDULERS

PLACES = [f"{size}-batch{batch}" for size in ("kitchen", "small", "reference") for batch in (1, 64)]


def obstacle(cell: Cell) -> str:
    """How to get the reference of a cell that needs it."""
    return "" if given() or not cell.environment.startswith("reference") else MISSING


def aggregate(results: Results) -> dict[str, float]:
    """Ratios of medians over the runs."""
    figures: dict[str, float] = {}
    for place in results.environments:
        size, batch = place.split("-")
        for arm in results.arms:
            if not (value := _medians(results, arm, place)):
                continue
            kind = "" if arm == "turns" else "_guided"
            if size == "reference":
                figures |= _beside_reference(value, f"{batch}{kind}")
                continue
            figures[f"overheads.{size}{kind}.{batch}"] = value["ours"] / value["bare"]
            figures[f"milliseconds.{size}{kind}.{batch}"] = 1000 * value["ours"]
            for loop in set(SCHEDULERS) & set(value):
                figures[f"schedulers.{loop}.{size}_{batch}"] = value[loop] / value["ours"]
    headline = {"overhead.batch1": "overheads.kitchen.batch1", "overhead.batch64": "overheads.kitchen.batch64"}
    headline |= {"ratio.beso_reference": "beside_reference.batch1.ratio"}
    return {key: figures[source] for key, source in headline.items() if source in figures} | dict(
        sorted(figures.items())
    )


def _medians(results: Results, arm: str, place: str) -> dict[str, float]:
    cells = results.cells(arm, place)
    keys = results.done[cells[0]] if cells else ()
    return {key: float(np.median(results.values(arm, key, place))) for key in keys}


def _beside_reference(value: dict[str, float], name: str) -> dict[str, float]:
    figures = {
        "ratio": value["reference"] / value["ours"],
        "ratio_spared": value["reference_spared"] / value["ours"],
        "attainable": value["reference"] / value["bare"],
        "limit_fraction": value["bare"] / value["ours"],
    }
    sizes = {"parameters.ours": value["parameters"], "parameters.reference": value["reference_parameters"]}
    return sizes | {f"beside_reference.{name}.{key}": figure for key, figure in figures.items()}


BENCHMARK = Benchmark(
    name="beso_latency",
    cells=grid(["turns", "guided"], PLACES, range(5)),
    compute=compute,
    aggregate=aggregate,
    quick_cells=[
        Cell("turns", "kitchen-batch1", 0, {"rounds": 20}),
        Cell("turns", "kitchen-batch64", 0, {"rounds": 3}),
        Cell("turns", "reference-batch1", 0, {"rounds": 20}),
    ],
    code=[
        "benchmarks/beso_latency_cells.py",
        "benchmarks/beso_latency_reference.py",
        "benchmarks/scheduler_loops.py",
        "genrl/learners/sequence_policy.py",
        "genrl/learners/denoising.py",
        "genrl/nets/causal.py",
        "genrl/nets/policy_transformer.py",
        "genrl/diffusion/*.py",
    ],
    settings={
        "network_calls": STEPS,
        "shape": "Franka Kitchen's: 30 observations, 9 actions, windows of 4, goals of 2",
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
