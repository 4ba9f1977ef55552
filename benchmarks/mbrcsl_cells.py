"""One cell of the benchmark of MBRCSL: a policy played from the starts that all arms share, or a figure beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Cell
from benchmarks.stitch_models import Origin, data, files, rollouts, world_model
from benchmarks.stitch_settings import BATCH, FITS, LEARNERS, PESSIMISM, RENEWAL, Settings
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes
from genrl.data.journeys import Traveller, expert
from genrl.data.policy import Policy
from genrl.data.stitch_maze import ENV_ID, GOAL
from genrl.evaluation.evaluate import Evaluation, evaluate
from genrl.evaluation.replay import replay
from genrl.learners.agent import Agent
from genrl.synthesis.renewal import Renewal
from genrl.synthesis.sources import Pessimistic
from genrl.training.fit import fit

STARTS_SEED = 40_000
"""Seed s plays the starts and goals of STARTS_SEED + s, whatever the arm; its data have others."""
VISIBLE = {"hide_goal": False}

Arm = Callable[[Origin], dict[str, float]]


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """The figures of one arm; ``return`` where it is a policy, in the mean over the evaluation episodes."""
    return ARMS[cell.arm](Origin(cell.seed, Settings(**cell.settings)))


def play(policy: Policy, origin: Origin, env_options: dict[str, Any] | None = None) -> Evaluation:
    """Episodes from the starts of this seed."""
    return evaluate(policy, ENV_ID, origin.settings.starts, STARTS_SEED + origin.seed, env_options=env_options)


def fitted(name: str, episodes: Episodes, origin: Origin, **trainer: Any) -> Agent:
    """A learner of ``LEARNERS`` after as many updates as all others."""
    fresh = LEARNERS[name](seed=origin.seed)
    settings = {"batch_size": BATCH, "val_fraction": 0.0, "progress": False} | FITS.get(name, {}) | trainer
    return fit(fresh, episodes, origin.settings.updates, **settings)


def learned(name: str, source: Callable[[Origin], Episodes]) -> Arm:
    """The policy of a learner, which knows nothing but ``source``; one that aims at a return aims at its best."""
    return lambda origin: {"return": play(fitted(name, source(origin), origin).policy(), origin).mean}


def last(origin: Origin) -> Episodes:
    """What the last round kept."""
    return rollouts(origin, origin.settings.rounds)


def in_rounds(origin: Origin) -> dict[str, float]:
    """RvS on what the last round kept, aiming further than that."""
    kept = last(origin)
    learner: Any = fitted("rvs", kept, origin)
    target = origin.settings.aim * float(kept.returns.max())
    return {"return": play(learner.policy(target_return=target), origin).mean}


def mopo(origin: Origin) -> dict[str, float]:
    """Soft actor-critic in the world model, with rewards lowered where this is unsure."""
    source = Pessimistic(world_model(origin), **PESSIMISM)
    renewal = Renewal(source, transitions=origin.settings.imagined, progress=False, **RENEWAL)
    return {"return": play(fitted("mopo", data(origin), origin, callbacks=[renewal]).policy(), origin).mean}


def seeing(origin: Origin) -> dict[str, float]:
    """The expert goes straight to the goal, which it alone sees."""
    return {"expert": play(expert(make_env(ENV_ID, VISIBLE)), origin, VISIBLE).mean}


def unseeing(origin: Origin) -> dict[str, float]:
    """The expert where it does not see the goal: to the middle of where goals are."""
    return {"without_sight": play(ToTheMiddle(), origin).mean}


def best_in_data(origin: Origin) -> dict[str, float]:
    """The return to surpass."""
    return {"best_in_data": float(data(origin).returns.max())}


def accepted(origin: Origin) -> dict[str, float]:
    """The accepted rollouts: how many of all, their predicted return, and the true one of the same actions."""
    taken = replay(rollouts(origin))
    assert taken.acceptance is not None
    figures = {"acceptance": taken.acceptance, "kept": len(taken.true)}
    return figures | {"predicted": float(np.mean(taken.predicted)), "replayed": float(np.mean(taken.true))}


def accepted_last(origin: Origin) -> dict[str, float]:
    """The same of the last round."""
    taken = replay(last(origin))
    return {"predicted_last": float(np.mean(taken.predicted)), "replayed_last": float(np.mean(taken.true))}


class ToTheMiddle:
    """The expert's controller, told that the goal is in the middle of its cell."""

    def __init__(self) -> None:
        env = make_env(ENV_ID, VISIBLE)
        self.middle: np.ndarray = env.unwrapped.maze.cell_rowcol_to_xy(np.array(GOAL))  # type: ignore[attr-defined]
        self.traveller: Traveller = expert(env)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Set out where an episode begins."""
        self.traveller.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 2) forces."""
        told = {"observation": observations, "desired_goal": np.tile(self.middle, (len(observations), 1))}
        return self.traveller.act(told, conditions, deterministic)


METHODS: dict[str, Arm] = {
    "mbrcsl_rounds": in_rounds,
    "mbrcsl": learned("rvs", rollouts),
    **{name: learned(name, data) for name in LEARNERS if name != "mopo"},
    "mopo": mopo,
    **{f"{name}_on_rollouts": learned(name, rollouts) for name in ("bc", "td3bc", "iql")},
}
BESIDE: dict[str, Arm] = {
    "expert": seeing,
    "without_sight": unseeing,
    "best_in_data": best_in_data,
    "rollouts": accepted,
    "last_rollouts": accepted_last,
}
ARMS = METHODS | BESIDE
FIGURES = {
    "expert": ("expert",),
    "without_sight": ("without_sight",),
    "best_in_data": ("best_in_data",),
    "rollouts": ("acceptance", "kept", "predicted", "replayed"),
    "last_rollouts": ("predicted_last", "replayed_last"),
}
"""What an arm of ``BESIDE`` gives."""
CODE = [
    *files("benchmarks", "mbrcsl_cells", "stitch_settings"),
    *files("genrl/learners", "return_conditioned", "return_policy", "together", "returns"),
    *files("genrl/learners", "rvs", "decision_transformer"),
    *files("genrl/learners", "cloning", "bc", "percent_bc", "critics", "td3bc", "iql", "squashed", "sac", "cql"),
    *files("genrl/nets", "mlp", "return_transformer"),
    *files("genrl/methods", "pessimistic_imagination", "imagination"),
    *files("genrl/dynamics", "uncertainty"),
    *files("genrl/synthesis", "renewal"),
    *files("genrl/evaluation", "replay"),
]
"""What cells depend on beside ``stitch_models.CODE``."""
