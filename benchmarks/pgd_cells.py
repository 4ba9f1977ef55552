"""One cell of the benchmark of policy-guided diffusion: a learner on real data, or on a synthesiser's beside them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.envs.registration import EnvSpec

from benchmarks.cells import Cell, artefact
from benchmarks.locomotion import data, first
from genrl.data.episodes import Episodes
from genrl.diffusion.guidance import Posterior
from genrl.evaluation.evaluate import evaluate
from genrl.learners.iql import IQL
from genrl.learners.learner import Learner
from genrl.learners.td3bc import TD3BC
from genrl.methods.imagination import Imagination
from genrl.methods.method import Method
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.sampling import Sampling
from genrl.methods.steered import Guidance
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.transition_diffusion import TransitionDiffusion
from genrl.methods.world_model import WorldModel
from genrl.nets.residual_mlp import ResidualMLP
from genrl.nets.temporal_unet import TemporalUNet
from genrl.synthesis.renewal import Renewal, Source
from genrl.synthesis.sources import Unguided
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

UPDATES, BATCH, RENEW, TRANSITIONS, REAL = 50_000, 256, 10_000, 100_000, 1 / 16
MODEL_UPDATES, MODEL_BATCH, TRANSITION_BATCH = 8_000, 32, 256
HORIZON, CALLS, SUBSTEPS, EPISODES = 32, 31, 4, 20

LEARNERS: dict[str, Callable[..., Learner]] = {"td3bc": TD3BC, "iql": IQL}
SAMPLING = Sampling(solver="heun", steps=(CALLS + 1) // 2)
MODELS: dict[str, Callable[..., Method]] = {
    "diffusion": partial(
        TrajectoryDiffusion,
        net=partial(TemporalUNet, width=32, multipliers=(1, 2, 4, 8)),
        horizon=HORIZON,
        overlap=0,
        sampling=SAMPLING,
    ),
    "transitions": partial(TransitionDiffusion, net=partial(ResidualMLP, width=512, layers=5), sampling=SAMPLING),
    "dynamics": WorldModel,
}


class Task(NamedTuple):
    """What a cell's environment names: hopper-td3bc-medium_10."""

    environment: str
    learner: str
    kind: str


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Normalised score of the learner after its last update, in percent, and what its last synthetic data were like."""
    task, settings = Task(*cell.environment.split("-")), dict(cell.settings)
    real = data(task.environment, task.kind, workspace)
    source = ARMS[cell.arm](task, cell.seed, workspace, settings)
    renewal = None if source is None else Renewal(source, RENEW, TRANSITIONS, REAL, progress=False)
    learner = LEARNERS[task.learner](seed=cell.seed)
    callbacks = [] if renewal is None else [renewal]
    updates = settings.get("updates", UPDATES)
    real = first(real, settings.get("transitions", real.num_transitions))
    fit(learner, real, updates, batch_size=BATCH, val_fraction=0.0, progress=False, callbacks=callbacks)
    assert real.card.env_spec is not None
    where = EnvSpec.from_json(real.card.env_spec)
    played = evaluate(learner.policy(), where, EPISODES, seed=cell.seed, num_envs=16, card=real.card)
    assert played.scores is not None
    values = {"score": float(np.mean(played.scores)), "return": played.mean}
    if renewal is not None:
        values |= {f"last_{name}": float(value) for name, value in renewal.history[-1].items()}
    return values


def model(name: str, task: Task, seed: int, workspace: Path) -> Method:
    """A model of the real data, fitted once for all arms and learners of a seed."""

    def build(folder: Path) -> None:
        real = data(task.environment, task.kind, workspace)
        save(FITS[name](MODELS[name](seed=seed), real), folder / "model.ckpt")

    found = load(artefact(workspace, f"{name}-{task.environment}-{task.kind}-{seed}", build) / "model.ckpt")
    assert isinstance(found, Method)
    return found


FITS: dict[str, Callable[[Method, Episodes], Method]] = {
    "diffusion": lambda method, real: fit(method, real, MODEL_UPDATES, batch_size=MODEL_BATCH, progress=False),
    "transitions": lambda method, real: fit(method, real, MODEL_UPDATES, batch_size=TRANSITION_BATCH, progress=False),
    "dynamics": lambda method, real: fit(
        method, real, MODEL_UPDATES, batch_size=TRANSITION_BATCH, val_every=400, patience=5, progress=False
    ),
}


def guided(task: Task, seed: int, workspace: Path, settings: dict[str, Any]) -> Source:
    """Led by the current policy; the first set is unguided, as in the paper, for then there is no policy yet."""
    diffusion = model("diffusion", task, seed, workspace)
    assert isinstance(diffusion, TrajectoryDiffusion)
    guidance = Guidance(Posterior(settings["scale"]), substeps=SUBSTEPS)
    return lambda learner, generation: (
        PolicyGuidedDiffusion(diffusion, learner, guidance) if generation > 0 else diffusion
    )


def as_fitted(name: str) -> Arm:
    """Fresh data of a model at every renewal, whatever the policy."""
    return lambda task, seed, workspace, settings: Unguided(model(name, task, seed, workspace))


def imagined(task: Task, seed: int, workspace: Path, settings: dict[str, Any]) -> Source:
    """Rollouts of the current policy in the ensemble."""
    dynamics = model("dynamics", task, seed, workspace)
    assert isinstance(dynamics, WorldModel)
    return lambda learner, generation: Imagination(dynamics, learner, HORIZON)


Arm = Callable[[Task, int, Path, dict[str, Any]], Source | None]
ARMS: dict[str, Arm] = {
    "real": lambda task, seed, workspace, settings: None,
    "unguided": as_fitted("diffusion"),
    "guided": guided,
    "world_model": imagined,
    "synther": as_fitted("transitions"),
}
