"""All that was chosen for the benchmarks of MBRCSL, on tuning seed 1000, and how many choices were looked at.

In a file of their own, so that another choice leaves the fitted models alone that do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from genrl.learners.agent import Agent
from genrl.learners.bc import BC
from genrl.learners.cql import CQL
from genrl.learners.decision_transformer import DecisionTransformer
from genrl.learners.iql import IQL
from genrl.learners.percent_bc import PercentBC
from genrl.learners.rvs import RvS
from genrl.learners.sac import SAC
from genrl.learners.td3bc import TD3BC
from genrl.nets.mlp import MLP
from genrl.nets.return_transformer import ReturnTransformer


@dataclass(frozen=True)
class Settings:
    """What a cell depends on beside its arm and its seed.

    Attributes:
        detours: share of the data's trajectories that takes the detour.
        trajectories: in the data; published: 1,000.
        world_members, world_width, world_layers, world_updates: networks of the world model, all of which predict,
            their sizes, and how long they are fitted; published: 7, of which 5 predict, 200, 4, and until the held-out
            error stops falling.
        behaviour_width, behaviour_layers, behaviour_updates: of the behaviour policy, see configs/beso_stitch.yaml.
        margin: return by which a rollout is to surpass the best of the data; published: 0.
        kept: rollouts that are wanted; published: 100.
        rounds: of ``mbrcsl_rounds``; published: 1.
        quantile: share of what the round before kept that a rollout of a later round is to surpass.
        aim: return that ``mbrcsl_rounds`` aims at, as a multiple of the best that it was fitted to; published: 1.
        tries: rollouts for each that is wanted, at most; published: 2,000.
        wave: rollouts made at once.
        updates: of every learner; published: 100 passes over the rollouts, 7,800 updates.
        imagined: transitions of a generation of MOPO.
        starts: evaluation episodes.
    """

    detours: float = 0.5
    trajectories: int = 1000
    world_members: int = 3
    world_width: int = 200
    world_layers: int = 3
    world_updates: int = 12_000
    behaviour_width: int = 128
    behaviour_layers: int = 2
    behaviour_updates: int = 700
    margin: float = 15.0
    kept: int = 100
    rounds: int = 5
    quantile: float = 0.8
    aim: float = 1.4
    tries: int = 60
    wave: int = 1024
    updates: int = 3_000
    imagined: int = 50_000
    starts: int = 50


BATCH = 256
NET = partial(MLP, width=256, layers=2)
"""Of all learners but the transformer. The paper's output policy has 1,024 units, fitted at a rate of 5e-5."""

LEARNERS: dict[str, Callable[..., Agent]] = {
    "rvs": partial(RvS, net=NET, lr=1e-3, weight_decay=0.1),
    "decision_transformer": partial(DecisionTransformer, net=partial(ReturnTransformer, width=128, layers=3)),
    "percent_bc": partial(PercentBC, net=NET, percent=10.0),
    "bc": partial(BC, net=NET),
    "td3bc": partial(TD3BC, actor_net=NET, critic_net=NET),
    "iql": partial(IQL, actor_net=NET, critic_net=NET, value_net=NET, expectile=0.9, beta=10.0, return_range=None),
    "cql": partial(CQL, actor_net=NET, critic_net=NET),
    "mopo": partial(SAC, actor_net=NET, critic_net=NET),
}
"""Seeds are given by each cell. ``mopo`` learns from what ``PESSIMISM`` and ``RENEWAL`` say as well."""

FITS: dict[str, dict[str, Any]] = {"decision_transformer": {"batch_size": 64, "gradient_clip_val": 0.25}}
"""How a learner is fitted other than in batches of ``BATCH``: 64 windows of 20 steps are 1,280 steps."""

PESSIMISM: dict[str, Any] = {"horizon": 5, "penalty": 1.0}
RENEWAL: dict[str, Any] = {"every": 1000, "real_fraction": 0.05, "lifetime": 5}

TRIED: dict[str, int] = {"mbrcsl_rounds": 12, "mbrcsl": 14}
"""Settings looked at for each arm, one where nothing is said."""
