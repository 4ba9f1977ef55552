"""One cell of window_models: a diffusion model of windows with one choice changed, and what its windows are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cells import Cell, artefact
from benchmarks.locomotion import MEDIUM, actor
from benchmarks.locomotion_models import (
    CALLS,
    SAMPLING,
    Origin,
    ends_in_tanh,
    fit_windows,
    model,
    real_data,
    windows,
)
from genrl.data.episodes import Episodes
from genrl.data.normalizers import ZScore
from genrl.evaluation.dynamics_error import dynamics_error
from genrl.methods.method import Block
from genrl.methods.sampling import Sampling
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.training.checkpoint import load, save
from genrl.training.stored import Stored

KIND, UPDATES = "medium_10", 5_000
WINDOWS, AT_ONCE, MEASURED = 1_000, 100, 10_000
HALF = "bf16-mixed"

Changes = Mapping[str, Any]


class Fitting(NamedTuple):
    """How a model is fitted.

    Attributes:
        changes: environment -> what of ``locomotion_models.windows`` is otherwise.
        precision: the Trainer's.
    """

    changes: Callable[[str], Changes] = lambda environment: {}
    precision: str = "32-true"


FITTINGS: Mapping[str, Fitting] = {
    "plain": Fitting(),
    "other_squash": Fitting(lambda environment: {"squash": not ends_in_tanh(environment)}),
    "standardised_ends": Fitting(lambda environment: {"ends": ZScore}),
    "bf16": Fitting(precision=HALF),
}
REAL, LONGER = "real", "longer"
VARIANTS: Mapping[str, tuple[str, Sampling]] = {
    "plain": ("plain", SAMPLING),
    "heun": ("plain", Sampling("heun", (CALLS + 1) // 2)),
    "bf16_sampling": ("plain", replace(SAMPLING, precision=HALF)),
    "bf16": ("bf16", replace(SAMPLING, precision=HALF)),
    "other_squash": ("other_squash", SAMPLING),
    "standardised_ends": ("standardised_ends", SAMPLING),
    LONGER: (LONGER, SAMPLING),
}
"""Arm -> which fit, and how its windows are sampled; that of ``longer`` is the shared model of other benchmarks."""
ARMS = (REAL, *VARIANTS)


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """What the simulator and the actor say of the cell's transitions, and how many of them end an episode."""
    origin = Origin(cell.environment, cell.settings.get("kind", KIND), cell.seed)
    real = real_data(origin.environment, origin.kind)
    made = real if cell.arm == REAL else synthetic(cell, origin, workspace)
    error = dynamics_error(made, real, seed=cell.seed, most=MEASURED)
    return {
        "error": error.median,
        "error_90": error.high,
        "impossible": error.impossible_share,
        "distance": distance(origin.environment, made),
        "ended": 1000 * float(made.terminations.sum()) / made.num_transitions,
    }


def synthetic(cell: Cell, origin: Origin, workspace: Path) -> Episodes:
    """Windows of the cell's model."""
    name, sampling = VARIANTS[cell.arm]
    updates = cell.settings.get("updates", UPDATES)
    method = model("diffusion", origin) if name == LONGER else fitted(name, origin, updates, workspace)
    assert isinstance(method, TrajectoryDiffusion)
    method.sampling = sampling
    return method.synthesize(Block(cell.seed, 0, cell.settings.get("windows", WINDOWS)), batch_size=AT_ONCE)


def fitted(name: str, origin: Origin, updates: int, workspace: Path) -> Stored:
    """The model of one kind of fit, which several arms share."""

    def build(folder: Path) -> None:
        fitting = FITTINGS[name]
        method = windows(origin, **fitting.changes(origin.environment))
        real = real_data(origin.environment, origin.kind)
        save(fit_windows(method, real, updates, fitting.precision), folder / "model.ckpt")

    place = artefact(workspace, f"{name}-{'-'.join(map(str, origin))}-{updates}", build)
    return load(place / "model.ckpt")


def distance(environment: str, made: Episodes) -> float:
    """Mean squared distance of the actions to what the data's actor would do without its noise."""
    (observations,), (actions,) = made.observations.values(), made.actions.values()
    states = observations[made.observation_rows].numpy()
    wanted = actor(MEDIUM[environment]).act(states, None, True)
    return float(((actions.numpy() - np.asarray(wanted)) ** 2).sum(-1).mean())
