"""One cell of the frontier: data of one generator at one setting, judged by the target policy and by the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.cells import Cell, artefact
from benchmarks.guidances import guidance
from benchmarks.locomotion_models import HORIZON, Origin, model, real_data
from benchmarks.mixtures import Mixture, residual
from genrl.data.episodes import Episodes
from genrl.evaluation.dynamics_error import dynamics_error, shuffled_actions
from genrl.evaluation.likelihood import policy_likelihood
from genrl.learners.bc import BC
from genrl.learners.learner import Learner
from genrl.learners.td3bc import TD3BC
from genrl.methods.imagination import Imagination
from genrl.methods.policy_guided_diffusion import PolicyGuidedDiffusion
from genrl.methods.trajectory_diffusion import TrajectoryDiffusion
from genrl.methods.world_model import WorldModel
from genrl.synthesis.generate import sample
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

KIND, BATCH = "medium_10", 256
TARGET_UPDATES, CLONE_UPDATES = 20_000, 5_000
WINDOWS, MEASURED = 2_000, 10_000

Policy = TypeVar("Policy", bound=Learner)


class Case:
    """What the cells of one environment and seed share: the data, and the policies fitted to them.

    Args:
        cell: its settings ``kind`` and ``updates`` (of the target policy) replace those of the benchmark.
        workspace: where the policies are kept.
    """

    def __init__(self, cell: Cell, workspace: Path) -> None:
        self.settings: Mapping[str, Any] = cell.settings
        self.origin = Origin(cell.environment, cell.settings.get("kind", KIND), cell.seed)
        self.workspace = workspace
        self.real = real_data(self.origin.environment, self.origin.kind)

    def target(self) -> TD3BC:
        """The policy that the data are to be likely under: TD3+BC on the real data."""
        updates = self.settings.get("updates", TARGET_UPDATES)
        return self._kept("target", TD3BC(seed=self.origin.seed), updates, val_fraction=0.0)

    def behaviour(self) -> BC:
        """The policy that made the data, as far as they tell it: a clone, early-stopped on held-out episodes."""
        return self._kept("behaviour", BC(seed=self.origin.seed), CLONE_UPDATES, val_every=250, patience=5)

    def _kept(self, name: str, policy: Policy, updates: int, **options: Any) -> Policy:
        def build(folder: Path) -> None:
            fitted = fit(policy, self.real, updates, batch_size=BATCH, progress=False, **options)
            save(fitted, folder / "policy.ckpt")

        place = artefact(self.workspace, f"{name}-{'-'.join(map(str, self.origin))}-{updates}", build)
        found = load(place / "policy.ckpt")
        assert isinstance(found, type(policy))
        return found


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """How likely the cell's actions are under the target policy, and how far its transitions are off.

    Errors are in standard deviations of real changes and of real rewards, over transitions whose state can be restored;
    the shares of the others are given apart.
    """
    case = Case(cell, workspace)
    made = ARMS[cell.arm](case)
    likelihood = policy_likelihood(case.target(), made)
    error = dynamics_error(made, case.real, seed=cell.seed, most=MEASURED)
    assert likelihood.squared_distances is not None
    return {
        "likelihood": float(likelihood.log_likelihoods.mean()),
        "squared_distance": float(likelihood.squared_distances.mean()),
        "error": error.median,
        "error_90": error.high,
        "reward_error": float(np.median(error.rewards)),
        "impossible": error.impossible_share,
        "hidden": error.hidden_share,
        "transitions": made.num_transitions,
    }


def guided(case: Case) -> Episodes:
    """Windows led by the target policy's score, at ``scale`` of the posterior's own strength or by another schedule."""
    diffusion = model("diffusion", case.origin)
    assert isinstance(diffusion, TrajectoryDiffusion)
    led = PolicyGuidedDiffusion(diffusion, case.target(), guidance(case.settings))
    return sample(led, WINDOWS, seed=case.origin.seed)


def world_model(case: Case) -> Episodes:
    """Rollouts of a policy that is ``share`` of the way from behaviour to target."""
    dynamics, behaviour = model("dynamics", case.origin), case.behaviour()
    assert isinstance(dynamics, WorldModel)
    mixture = Mixture(behaviour, case.target(), case.settings["share"], residual(behaviour, case.real))
    return sample(Imagination(dynamics, mixture, HORIZON), WINDOWS, seed=case.origin.seed)


ARMS: dict[str, Callable[[Case], Episodes]] = {
    "guided": guided,
    "world_model": world_model,
    "real": lambda case: case.real,
    "shuffled": lambda case: shuffled_actions(case.real, case.origin.seed),
}
