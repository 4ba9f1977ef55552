"""One cell of the benchmark of policy-guided diffusion: a learner on real data, or on a synthesiser's beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Cell
from benchmarks.guidances import guidance
from benchmarks.locomotion_models import HORIZON, Origin, model, real_data
from genrl.evaluation.learning_curve import LearningCurve
from genrl.evaluation.likelihood import policy_likelihood
from genrl.learners.iql import IQL
from genrl.learners.learner import Learner
from genrl.learners.td3bc import TD3BC
from genrl.methods.imagination import Imagination
from genrl.methods.method import Method
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.world_model import WorldModel
from genrl.synthesis.renewal import Renewal, Source
from genrl.synthesis.sources import Unguided
from genrl.training.fit import fit

UPDATES, BATCH, RENEW, TRANSITIONS, REAL = 50_000, 256, 10_000, 100_000, 1 / 16
LOOKS, EPISODES = 5, 10
ALPHA = {"hopper": 2.5, "halfcheetah": 0.1}
"""Of TD3+BC: the published one, but where it fails on the real data; see ``benchmarks.pgd``."""
LEARNERS: dict[str, Callable[[str, int], Learner]] = {
    "td3bc": lambda environment, seed: TD3BC(alpha=ALPHA[environment], seed=seed),
    "iql": lambda environment, seed: IQL(seed=seed),
}


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """Normalised score of the learner in percent, how far it went from the real actions, what its last data were like.

    The score is a mean over the last looks, a twenty-fifth of the fit apart, as that of TD3+BC is in its paper; what
    the last one alone saw is kept beside it. A cell's settings may ask for other ``updates`` and for more ``looks``.
    """
    (environment, learning, kind), settings = cell.environment.split("-"), dict(cell.settings)
    real = real_data(environment, kind)
    source = ARMS[cell.arm](Origin(environment, kind, settings.get("models", cell.seed)), settings)
    renewal = None if source is None else Renewal(source, RENEW, TRANSITIONS, REAL, progress=False)
    updates, looks = settings.get("updates", UPDATES), settings.get("looks", LOOKS)
    every = updates // 25
    curve = LearningCurve(every, EPISODES, start=updates - (looks - 1) * every, num_envs=EPISODES, seed=cell.seed)
    learner = fit(
        LEARNERS[learning](environment, cell.seed),
        real,
        updates,
        batch_size=BATCH,
        val_fraction=0.0,
        progress=False,
        callbacks=[curve] if renewal is None else [renewal, curve],
    )
    seen = {name: np.array([look[name] for look in curve.history]) for name in ("score", "return")}
    values = {name: float(array.mean()) for name, array in seen.items()}
    values |= {"final_score": float(seen["score"][-1]), "score_std": float(seen["score"].std())}
    distances = policy_likelihood(learner, real).squared_distances
    assert distances is not None
    values["distance"] = float(distances.mean())
    if renewal is not None:
        values |= {f"last_{name}": float(value) for name, value in renewal.history[-1].items()}
    return values


def guided(origin: Origin, settings: dict[str, Any]) -> Source:
    """Led by the current policy; the first set is unguided, as in the paper, for then there is no policy yet."""
    diffusion = model("diffusion", origin)
    assert isinstance(diffusion, TrajectoryDiffusion)
    led = guidance(settings)
    return lambda learner, generation: PolicyGuidedDiffusion(diffusion, learner, led) if generation > 0 else diffusion


def as_fitted(name: str) -> Arm:
    """Fresh data of a model at every renewal, whatever the policy."""

    def arm(origin: Origin, settings: dict[str, Any]) -> Source:
        found = model(name, origin)
        assert isinstance(found, Method)
        return Unguided(found)

    return arm


def imagined(origin: Origin, settings: dict[str, Any]) -> Source:
    """Rollouts of the current policy in the ensemble."""
    dynamics = model("dynamics", origin)
    assert isinstance(dynamics, WorldModel)
    return lambda learner, generation: Imagination(dynamics, learner, HORIZON)


Arm = Callable[[Origin, dict[str, Any]], Source | None]
ARMS: dict[str, Arm] = {
    "real": lambda origin, settings: None,
    "unguided": as_fitted("diffusion"),
    "guided": guided,
    "world_model": imagined,
    "synther": as_fitted("transitions"),
}
