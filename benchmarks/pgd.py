"""What synthetic data are worth to a learner: policy-guided diffusion beside its baselines, every arm at equal budgets.

Arms: real (no synthetic data), unguided and guided trajectory diffusion, world_model (the current policy rolled out in
an ensemble), synther (diffusion over single transitions). The learner takes the same number of updates in every arm;
the models take the same number of theirs, the ensemble fewer where its held-out error stops falling. Synthetic data are
renewed at the same times with the same number of transitions, and a batch is 15 parts synthetic to one part real. A
score is the mean over five looks in the last sixth of the fit.

An environment's name says which learner and which data: hopper-td3bc-medium_10 is TD3+BC on a tenth of the medium data
(see ``benchmarks.locomotion``: not D4RL's). The paper's own setting is a network of 178 M parameters, a million updates
and a million transitions at each of a hundred renewals.

The learners have their published settings but for one: with the published alpha of 2.5, TD3+BC falls on HalfCheetah
below 8 per cent of the score on real data and on synthetic ones alike, for the data are one gait with little noise, and
Q leads away from it. There alpha is 0.1 in every arm, chosen with real data alone on a tuning seed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from benchmarks.cells import Cell, grid
from benchmarks.guidances import SUBSTEPS
from benchmarks.locomotion import ENVIRONMENTS
from benchmarks.locomotion_models import CALLS, CODE, HORIZON
from benchmarks.locomotion_models import UPDATES as MODEL_UPDATES
from benchmarks.pgd_cells import (
    ALPHA,
    ARMS,
    BATCH,
    EPISODES,
    LEARNERS,
    LOOKS,
    REAL,
    RENEW,
    TRANSITIONS,
    UPDATES,
    compute,
)
from benchmarks.results import Results
from benchmarks.runner import Benchmark, main
from genrl.evaluation.curves import panels_of_bars

DATA = ("medium_10", "medium")
SEEDS = range(5)
SCALE = 3.0
"""Of guidance, chosen on the tuning seeds; a setting of the guided cells, so that another leaves the rest alone."""
PLACES = [f"{place}-{learner}-{kind}" for kind in DATA for learner in LEARNERS for place in ENVIRONMENTS]


def aggregate(results: Results) -> dict[str, float]:
    """Interquartile mean of each arm's score with its interval, and the paired gains that the paper claims."""
    figures: dict[str, float] = {}
    for place in results.environments:
        key = place.replace("-", ".")
        for arm in results.arms:
            figures |= results.scores(arm, "score", place, f"{key}.{arm}")
        for arm, control in (("guided", "unguided"), ("guided", "real"), ("unguided", "real")):
            if {arm, control} <= set(results.arms):
                figures |= results.gains(arm, control, "score", place, f"{key}.{arm}-{control}")
    return figures


def picture(results: Results) -> Figure:
    """A panel for each environment, a bar for each arm."""
    panels = {
        f"{place} (seeds: {len(results.complete[place])})": {
            arm: results.summary(arm, "score", place) for arm in results.arms
        }
        for place in results.environments
    }
    return panels_of_bars(panels, "normalised score in %: interquartile mean over seeds, 95 % interval")


TRIED = {"real": 6, "unguided": 26, "guided": 19, "synther": 2}
"""On seed 1000: TD3+BC's alpha (2.5, 0.2, 0.1, 0.05; two with normalised layers) with real data; networks, learning
rates, noise levels, clipping, arctanh, normalisation of ends, training lengths and samplers of the diffusion over
windows, by the error of the dynamics and by what is cloned from its data; scales and schedules of guidance. On reported
seeds of Hopper: guidance of IQL by four gradients, which HalfCheetah then showed to be too few."""
LED: dict[str, dict[str, Any]] = {"td3bc": {"scale": SCALE}, "iql": {"scale": SCALE, "substeps": None}}
"""Guidance by learner. IQL's policy is so sharp that four gradients lead beyond its aim, on HalfCheetah beyond all
numbers: there are as many as it takes, the library's default."""
TUNED: dict[str, list[dict[str, Any]]] = {
    "unguided": [{}],
    "guided": [
        {"scale": 3.0},
        {"scale": 30.0, "substeps": 8},
        {"scale": 100.0, "substeps": 16},
        {"scale": 0.1, "schedule": "published"},
    ],
}
"""What is tried on three learners with the models of one tuning seed, judged by twice as many looks and more."""
QUICK = {"updates": 300}


def settings_of(cell: Cell) -> dict[str, Any]:
    """What a cell says beside its arm, place and seed."""
    _, learner, _ = cell.environment.split("-")
    return LED[learner] if cell.arm == "guided" else {}


BENCHMARK = Benchmark(
    name="pgd",
    cells=[replace(cell, settings=settings_of(cell)) for cell in grid(ARMS, PLACES, SEEDS)],
    compute=compute,
    aggregate=aggregate,
    picture=picture,
    tried=TRIED,
    tuning_cells=[
        Cell(arm, PLACES[0], seed, {**settings, "looks": 13, "models": 1000})
        for seed in range(1000, 1003)
        for arm, tried in TUNED.items()
        for settings in tried
    ],
    quick_cells=[Cell("real", f"{place}-td3bc-medium_1", 0, QUICK) for place in ENVIRONMENTS],
    code=[
        "benchmarks/pgd_cells.py",
        "benchmarks/guidances.py",
        *CODE,
        *(f"genrl/methods/{part}.py" for part in ("scores", "steered", "policy_guided_diffusion")),
        *(f"genrl/methods/{part}.py" for part in ("model_rollouts", "imagination")),
        "genrl/diffusion/guidance.py",
        "genrl/dynamics/rollout.py",
        "genrl/synthesis/renewal.py",
        *(f"genrl/evaluation/{part}.py" for part in ("learning_curve", "evaluate")),
        "genrl/data/collect.py",
        "genrl/learners/td3bc.py",
        "genrl/learners/iql.py",
    ],
    settings={
        "updates": UPDATES,
        "alpha": ALPHA,
        "batch": BATCH,
        "renew_every": RENEW,
        "transitions": TRANSITIONS,
        "real_fraction": REAL,
        "model_updates": MODEL_UPDATES,
        "horizon": HORIZON,
        "network_calls": CALLS,
        "guidance_substeps": {"td3bc": SUBSTEPS, "iql": "as many as it takes"},
        "evaluation_looks": LOOKS,
        "evaluation_episodes": EPISODES,
        "network": "U-Net of 1.3 M parameters (the paper: 178 M)",
        "data": "fixed actors of rl-trained-agents, not D4RL",
    },
)

if __name__ == "__main__":
    raise SystemExit(main(BENCHMARK))
