"""Peak memory and speed of loading one million Hopper-sized transitions from a Minari data set.

    python -m benchmarks.load [--quick] [--minutes N]

Keys: ``peak_over_bytes`` (the most any repetition needed above the imports, over the bytes of the loaded tensors; at
most 2.5), ``load_seconds`` (median), ``transitions_per_second``; ``reference.*`` are the same for Minari's own episodes
put into a list and concatenated.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from benchmarks.cells import REPOSITORY, Cell, artefact, grid
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.data.episodes import Episodes
from genrl.data.store import save

EPISODES, STEPS, PART = 1000, 1000, 50
OBSERVATION, ACTION = 11, 3
DATASET = "hopper/synthetic-v0"
ARMS = ("ours", "reference")
LOADER = ("store", "reader", "table", "manifest", "checks", "spaces", "episodes")


def hopper_sized() -> Iterator[Episodes]:
    """One million transitions of noise in Hopper's shapes and dtypes, in parts."""
    generator = torch.Generator().manual_seed(0)
    rows = PART * STEPS
    truncations = torch.zeros(rows, dtype=torch.bool)
    truncations[STEPS - 1 :: STEPS] = True
    for _ in range(EPISODES // PART):
        yield Episodes(
            gym.spaces.Box(-np.inf, np.inf, (OBSERVATION,), np.float64),
            gym.spaces.Box(-1, 1, (ACTION,), np.float32),
            {"": torch.randn(rows + PART, OBSERVATION, generator=generator, dtype=torch.float64)},
            {"": torch.rand(rows, ACTION, generator=generator) * 2 - 1},
            torch.randn(rows, generator=generator, dtype=torch.float64),
            torch.zeros(rows, dtype=torch.bool),
            truncations,
            torch.full((PART,), STEPS),
        )


def build(root: Path) -> None:
    save(hopper_sized(), DATASET, root=root)


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """One load in a fresh process."""
    root = artefact(workspace, "datasets", build)
    command = [sys.executable, "-m", "benchmarks.peak", cell.arm, DATASET, str(root)]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    measured = json.loads(output.splitlines()[-1])
    return {"peak_over_bytes": measured["peak"] / measured["bytes"], "seconds": measured["seconds"]}


def aggregate(results: Results) -> dict[str, float]:
    """The worst peak and the median time of each arm."""
    figures = {}
    for arm in results.arms:
        prefix = "" if arm == "ours" else f"{arm}."
        seconds = statistics.median(results.values(arm, "seconds"))
        figures[f"{prefix}peak_over_bytes"] = max(results.values(arm, "peak_over_bytes"))
        figures[f"{prefix}load_seconds"] = seconds
        figures[f"{prefix}transitions_per_second"] = EPISODES * STEPS / seconds
    return figures


BENCHMARK = Benchmark(
    name="load",
    cells=grid(ARMS, seeds=range(5)),
    compute=compute,
    aggregate=aggregate,
    quick_cells=grid(["ours"]),
    code=["benchmarks/load.py", "benchmarks/peak.py", *(f"genrl/data/{part}.py" for part in LOADER)],
    settings={"episodes": EPISODES, "steps": STEPS, "observation": "11 float64", "action": "3 float32"},
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
