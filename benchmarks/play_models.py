"""Policies of play that several benchmarks share: fitted once for each kind, data set and seed, and kept.

They lie below ``benchmarks/cells/.models`` under a digest of the code and the settings that they depend on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.cells import REPOSITORY, artefact, code_digest
from benchmarks.play import data
from genrl.data.episodes import Episodes
from genrl.diffusion.schedules import LogNormal
from genrl.learners.behavior_transformer import BehaviorTransformer
from genrl.learners.beso import BESO
from genrl.learners.flow_policy import FlowPolicy
from genrl.learners.latent_plan import LatentPlanPolicy
from genrl.learners.sequence import SequenceLearner
from genrl.learners.sequence_bc import SequenceBC
from genrl.nets.policy_transformer import PolicyTransformer
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

UPDATES = {"pusht": 15_000, "cube": 15_000, "pointmaze": 10_000, "scene": 10_000}
"""Of every method."""
BATCH = 256
NET = partial(PolicyTransformer, width=128, layers=4, dropout=0.1, attention_dropout=0.1)
WINDOW: dict[str, Any] = {"net": NET, "history": 1, "chunk": 8}
SIGMA_MAX = 10.0
"""Of a chunk: its actions are alike, so that it takes more noise than for one action to hide which chunk it is."""
GOALS = {"pusht": None, "cube": 0.99, "scene": 0.99, "pointmaze": None}
"""Discount of the goals drawn in hindsight, for every method; None for all of an episode's future alike."""

CODE = [
    "benchmarks/play_models.py",
    "benchmarks/play.py",
    "genrl/data/history.py",
    "genrl/data/collect.py",
    "genrl/evaluation/evaluate.py",
    *(f"genrl/diffusion/{part}.py" for part in ("denoiser", "path", "sampling", "samplers", "solvers")),
    "genrl/nets/causal.py",
    "genrl/nets/policy_transformer.py",
    *(f"genrl/learners/{part}.py" for part in ("sequence", "sequence_policy", "denoising", "beso", "flow_policy")),
    *(f"genrl/learners/{part}.py" for part in ("sequence_bc", "latent_plan", "behavior_transformer", "kmeans")),
]

LEARNERS: dict[str, Callable[..., SequenceLearner]] = {
    "beso": partial(BESO, **WINDOW, levels=LogNormal(-0.7, 1.2), sigma_max=SIGMA_MAX),
    "flow": partial(FlowPolicy, **WINDOW),
    "sequence_bc": partial(SequenceBC, **WINDOW),
    "latent_plan": partial(LatentPlanPolicy, **WINDOW | {"net": partial(NET, width=80)}),
    "behavior_transformer": partial(BehaviorTransformer, **WINDOW),
}
"""Equal networks but for their inputs and outputs, equal windows, equal batches.

The three networks of latent_plan are narrower, about as large together.
"""


def fitted(fresh: SequenceLearner, episodes: Episodes, updates: int, batch_size: int) -> None:
    """Fit as genrl does, on what there is."""
    fit(fresh, episodes, updates, batch_size=batch_size, val_fraction=0.0, progress=False)


def learner(name: str, place: str, seed: int, updates: int | None = None, by: Callable[..., None] = fitted) -> Any:
    """A fitted learner of ``LEARNERS`` on a data set of ``benchmarks.play``, after ``UPDATES`` unless told.

    ``by`` fits it where it is missing.
    """
    updates = updates or UPDATES[place]

    def build(folder: Path) -> None:
        fresh = LEARNERS[name](seed=seed, goal_discount=GOALS[place])
        by(fresh, data(place), updates, BATCH)
        save(fresh, folder / "model.ckpt")

    shared = REPOSITORY / "benchmarks" / "cells" / ".models" / code_digest(CODE)[:16]
    shared.mkdir(parents=True, exist_ok=True)
    return load(artefact(shared, f"{name}-{place}-{seed}-{updates}", build) / "model.ckpt")
