"""Speed beside the references' own code: training steps and sampled trajectories, at equal networks, calls and batches.

    python -m benchmarks.pgd_speed --reference DIR [--reference-python PYTHON] [--reference DIR2 ...] [--quick]

``DIR`` is a checkout of policy-guided diffusion (JAX) or of SynthER (torch), ``PYTHON`` the interpreter of its own
environment (``DIR/.venv/bin/python`` where none is given). Without them their rows are left out; the script then says
how to get them. ``ratio.REFERENCE.TASK`` is the reference's CPU time over ours, for a step of training (``train``), for
a batch of windows or transitions (``sample``), under policy guidance by gradients at the denoised estimate
(``sample_guided``; the reference calls its network once more a step for it) and at the noisy state
(``sample_guided_noisy``), led by an actor of 2 x 256. Both sides take their turns in one cell, pinned to one core, warm
and compiled, the reference in the faster form of its code. Ours is what a user calls: ``fit`` with all that it does,
``synthesize`` down to episodes.

Equal networks have as many parameters, or ours a few more; ``multiply_adds`` is what a call of each costs for one
sample. ``pgd`` is our U-Net in three levels, as the reference's is. ``pgd_four_levels`` halves time once more and does
with fewer operations on as many parameters. That is another network, whose held-out loss was 12 % higher in the one
comparison made (1.6 M parameters, Hopper), so it does not answer what ``pgd`` asks. ``synther`` trains and samples in
the batches of ``pgd``, ``synther_own_batch`` in 256. Names that end in ``_bf16`` are ours with the network's products
in bfloat16, in training (the Trainer's ``precision``) and in sampling (``Sampling.precision``), beside the reference in
float32, the one format that its code has; what that costs the data is for ``benchmarks.window_models`` to say.
``limit_fraction.METHOD.TASK`` is the share of our time that is the bare network, and ``attainable.REFERENCE.TASK`` the
ratio if that were all of it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.cells import Cell, grid
from benchmarks.pgd_speed_cells import GIVEN, GUIDED, MATCHES, ROUNDS, compute, given, mlp
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main


class Reference(NamedTuple):
    """A reference: where it is, which file tells its checkout, and what its environment holds."""

    repository: str
    marker: str
    packages: str


REFERENCES = {
    "pgd": Reference(
        "https://github.com/EmptyJackson/policy-guided-diffusion",
        "diffusion/edm.py",
        "'jax==0.4.23' 'jaxlib==0.4.23' 'flax==0.7.5' 'distrax==0.1.5' 'optax==0.1.8' 'chex==0.1.85'"
        " 'orbax-checkpoint==0.4.8' 'numpy<1.27' 'scipy<1.13'",
    ),
    "synther": Reference(
        "https://github.com/conglu1997/SynthER",
        "synther/diffusion/elucidated_diffusion.py",
        "torch accelerate einops ema-pytorch gin-config torchdiffeq tqdm",
    ),
}
PLACES = [
    f"{name}-{task}"
    for name, match in MATCHES.items()
    for task in ("train", "sample", *(() if match.method is mlp else GUIDED))
]


def obstacle(cell: Cell) -> str:
    """How to get the reference of a cell that needs one which is not here."""
    name = MATCHES[cell.environment.split("-")[0]].reference
    if not name or name in given():
        return ""
    wanted = REFERENCES[name]
    return (
        f"The rows of {name} are left out, for its code is not here. To add them: git clone {wanted.repository} DIR;"
        f" python3.11 -m venv DIR/.venv; DIR/.venv/bin/pip install {wanted.packages}; and give --reference DIR."
    )


def aggregate(results: Results) -> dict[str, float]:
    """Ratios and speeds, medians over the runs."""
    figures: dict[str, float] = {}
    for place in results.environments:
        name, task = place.split("-")
        keys = results.done[results.cells("turns", place)[0]]
        value = {key: float(np.median(results.values("turns", key, place))) for key in keys}
        if not MATCHES[name].reference:
            figures[f"limit_fraction.{name}.{task}"] = value["bare"] / value["ours"]
            continue
        figures[f"ratio.{name}.{task}"] = value["reference"] / value["ours"]
        figures[f"attainable.{name}.{task}"] = value["reference"] / value["bare"]
        count = 1 if task == "train" else MATCHES[name].sample_batch
        for side in ("ours", "reference"):
            figures[f"{'steps' if task == 'train' else 'samples'}_per_second.{name}.{task}.{side}"] = (
                count / value[side]
            )
            for key in ("parameters", "multiply_adds"):
                figures[f"{key}.{name}.{side}"] = value[f"{side}_{key}"]
    return figures


def find_references(folders: list[str], pythons: list[str]) -> dict[str, list[str]]:
    """Which reference each folder is, with its interpreter.

    Raises:
        SystemExit: a folder is no checkout of a reference, or the interpreter is not there.
    """
    found = {}
    for number, folder in enumerate(folders):
        names = [name for name, wanted in REFERENCES.items() if (Path(folder) / wanted.marker).exists()]
        if not names:
            known = " or ".join(wanted.repository for wanted in REFERENCES.values())
            raise SystemExit(f"{folder} is no checkout of {known}.")
        python = pythons[number] if number < len(pythons) else str(Path(folder) / ".venv" / "bin" / "python")
        if not Path(python).exists():
            raise SystemExit(f"There is no {python} to run {folder} by; make it, or name one by --reference-python.")
        found[names[0]] = [folder, python]
    return found


BENCHMARK = Benchmark(
    name="pgd_speed",
    cells=grid(["turns"], PLACES, range(3)),
    compute=compute,
    aggregate=aggregate,
    quick_cells=[Cell("turns", "trajectory-sample", 0, {"rounds": 1}), Cell("turns", "pgd-train", 0, {"rounds": 2})],
    code=[
        "benchmarks/pgd_speed_cells.py",
        "benchmarks/pgd_speed_reference.py",
        "genrl/diffusion/*.py",
        "genrl/nets/*.py",
        "genrl/methods/*diffusion.py",
        "genrl/methods/scores.py",
        "genrl/training/*.py",
    ],
    settings={
        "shape": "Hopper's: 11 observations, 3 actions; windows of 32 transitions in 33 rows (the reference: 32)",
        "calls": "32 steps of Heun's method",
        "unit": "CPU seconds on one core; median over turns, then over runs",
        "turns": ROUNDS,
        "references": {name: wanted.repository for name, wanted in REFERENCES.items()},
    },
    obstacle=obstacle,
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--reference", action="append", default=[])
    parser.add_argument("--reference-python", action="append", default=[])
    options, rest = parser.parse_known_args()
    os.environ[GIVEN] = json.dumps(find_references(options.reference, options.reference_python))
    raise SystemExit(main(BENCHMARK, rest))
