"""One cell of the benchmarks of DoC: a learner fitted to the data of its seed, and played where they come from."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cells import REPOSITORY, Cell, artefact, code_digest, digest
from benchmarks.doc_settings import LEARNERS, PLACES, SIZES, Place, Sizes
from benchmarks.information import conditional_information
from benchmarks.stitch_models import files
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import Episodes, concatenate
from genrl.data.policy import Policy
from genrl.data.randomness import generator
from genrl.evaluation.evaluate import Evaluation, evaluate
from genrl.learners.agent import Agent
from genrl.learners.future_conditioned import FutureConditioned, Told
from genrl.learners.return_policy import ReturnPolicy
from genrl.training.checkpoint import load, save
from genrl.training.fit import fit

SHARED = REPOSITORY / "benchmarks" / "cells" / ".models" / "doc"
"""Fitted learners, each under a digest of the code and the settings that it depends on."""

STARTS_SEED = 40_000
"""Seed s plays from the starts, and with the luck, of STARTS_SEED + s, whatever the arm; its data have others."""


def compute(cell: Cell, workspace: Path) -> dict[str, float]:
    """The mean ``return`` of one arm, the ``predicted`` one, and what its latents tell."""
    place = PLACES[cell.environment]
    sizes = replace(SIZES[place.family], **cell.settings)
    learner = fitted(cell.arm, cell.environment, cell.seed, sizes)
    policy = acting(learner, sizes)
    played = play(policy, place, cell.seed, sizes)
    figures = {"return": played.mean, **predicted(policy, played.episodes)}
    if place.family == "bandit" and isinstance(learner, FutureConditioned):
        figures |= told(learner, data(cell.environment, cell.seed, sizes))
    return figures


def data_return(cell: Cell) -> dict[str, float]:
    """The mean ``return`` of the data themselves."""
    sizes = replace(SIZES[PLACES[cell.environment].family], **cell.settings)
    return {"return": float(data(cell.environment, cell.seed, sizes).returns.mean())}


def predicted(policy: Policy, played: Episodes) -> dict[str, float]:
    """The return that was aimed at, or that was expected of the first latent followed; mean over what was played."""
    if isinstance(policy, ReturnPolicy):
        return {"predicted": policy.target}
    if "predicted_value" not in played.infos:
        return {}
    return {"predicted": float(played.infos["predicted_value"][played.transition_starts].mean())}


def told(learner: FutureConditioned, episodes: Episodes) -> dict[str, float]:
    """How many ``latents`` are in use, and ``mi``, what they tell of a bandit's luck."""
    q = tell(learner, episodes, torch.arange(episodes.num_transitions)).q
    information = conditional_information(q.softmax(-1), episodes.actions[""].long(), episodes.rewards.long())
    return {"latents": float(learner.latent.in_use(q)), "mi": float(information)}


def tell(learner: FutureConditioned, episodes: Episodes, rows: Tensor) -> Told:
    """What the learner makes of the stretches that begin at the transitions ``rows``."""
    with torch.inference_mode():
        return learner.tell(learner.sampler(episodes).fetch(rows).trimmed(), generator(0))


@lru_cache(maxsize=1)  # the arms of a seed follow one another
def data(where: str, seed: int, sizes: Sizes) -> Episodes:
    """The trajectories of a seed.

    Of a hundred in a slippery lake it may be that none comes to the goal, and there is nothing to be learned from
    them: then others are collected, until returns differ.
    """
    place = PLACES[where]
    share = sizes.trajectories // len(place.behaviours)
    how: dict[str, Any] = {"num_envs": 50, "env_options": place.settings}
    policies = [behaviour(make_env(place.env, place.settings)) for behaviour in place.behaviours]
    while True:
        parts = [collect(place.env, policy, share, seed + 10_000 * part, **how) for part, policy in enumerate(policies)]
        made = concatenate(parts)
        if made.returns.min() < made.returns.max():
            return replace(made, infos={})
        seed += 100_000


def fitted(arm: str, where: str, seed: int, sizes: Sizes) -> Agent:
    """The learner of an arm after as many updates as all others; made once, and kept."""
    place = PLACES[where]

    def build(folder: Path) -> None:
        learner = LEARNERS[place.family][arm](seed=seed)
        how: dict[str, Any] = {"batch_size": sizes.batch, "val_fraction": 0.0, "progress": False}
        save(fit(learner, data(where, seed, sizes), sizes.updates, **how), folder / "model.ckpt")

    SHARED.mkdir(parents=True, exist_ok=True)
    chosen = digest([code_digest(CODE), asdict(sizes)])[:16]
    learner: Any = load(artefact(SHARED, f"{where}-{arm}-{seed}-{chosen}", build) / "model.ckpt")
    return learner


def acting(learner: Agent, sizes: Sizes) -> Policy:
    """The policy of a learner, for all episodes at once."""
    if isinstance(learner, FutureConditioned):
        return learner.policy(follow=sizes.follow, together=sizes.starts)
    return learner.policy(together=sizes.starts)


def play(policy: Policy, place: Place, seed: int, sizes: Sizes) -> Evaluation:
    """Whole episodes with the luck of this seed, all side by side."""
    how: dict[str, Any] = {"num_envs": sizes.starts, "deterministic": not sizes.drawn, "env_options": place.settings}
    return evaluate(policy, place.env, sizes.starts, STARTS_SEED + seed, **how)


CODE = [
    *files("benchmarks", "doc_cells", "doc_settings", "doc_ablations", "information"),
    *files("genrl/data", "bandit", "value_iteration", "noisy_actions", "relay", "return_windows", "trajectories"),
    *files("genrl/learners", "return_conditioned", "return_policy", "returns", "decision_transformer"),
    *files("genrl/learners", "cloning", "bc", "percent_bc", "heads"),
    *files("genrl/learners", "doc", "future_vae", "future_conditioned", "latent_future", "latent_policy", "latents"),
    *files("genrl/learners", "energy", "outcomes", "action_density", "together"),
    *files("genrl/nets", "mlp", "return_transformer", "trajectories"),
]
"""What cells depend on."""
