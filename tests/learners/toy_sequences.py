"""Play data whose best policies are known, and the list of learners over windows that the general tests go through."""

from functools import partial

import gymnasium as gym
import numpy as np
import torch
from toy_data import box

from genrl.data.arrays import from_arrays
from genrl.data.conditions import Conditions
from genrl.data.episodes import Episodes
from genrl.learners.behavior_transformer import BehaviorTransformer
from genrl.learners.beso import BESO
from genrl.learners.flow_policy import FlowPolicy
from genrl.learners.latent_plan import LatentPlanPolicy
from genrl.learners.sequence_bc import SequenceBC
from genrl.nets.policy_transformer import PolicyTransformer

NET = partial(PolicyTransformer, width=32, layers=2, heads=2, attention_dropout=0.0, dropout=0.0)
SMALL = {"net": partial(PolicyTransformer, width=16, layers=1, heads=2), "history": 3, "chunk": 2}

LEARNERS = {
    "beso": partial(BESO, **SMALL),
    "flow_policy": partial(FlowPolicy, **SMALL),
    "sequence_bc": partial(SequenceBC, **SMALL),
    "latent_plan": partial(LatentPlanPolicy, **SMALL, latent=4),
    "behavior_transformer": partial(BehaviorTransformer, **SMALL, bins=8),
}


def two_ways(episodes: int = 400) -> Episodes:
    """A step to the right or to the left, as often each: the mean of the actions is no action at all."""
    rng = np.random.default_rng(0)
    ways = rng.choice([-1.0, 1.0], (episodes, 1, 1))
    actions = 0.5 * ways + 0.05 * rng.normal(size=(episodes, 1, 1))
    places = np.concatenate([np.zeros((episodes, 1, 1)), actions], axis=1)
    return from_arrays(
        list(places.astype(np.float32)),
        list(actions.astype(np.float32)),
        [np.zeros(1)] * episodes,
        observation_space=gym.spaces.Box(-2, 2, (1,), np.float32),
        action_space=box(1),
    )


def long_ways() -> Episodes:
    """Actions that are all right or all left, in a state that never tells."""
    rng = np.random.default_rng(0)
    actions = np.repeat(rng.choice([-0.5, 0.5], (200, 1, 1)), 6, axis=1) + 0.05 * rng.normal(size=(200, 6, 1))
    return from_arrays(
        [np.zeros((7, 1), np.float32)] * 200,
        list(actions.astype(np.float32)),
        [np.zeros(6)] * 200,
        observation_space=box(1),
        action_space=box(1),
    )


def act(policy, count: int, goal: float | None = None) -> np.ndarray:
    policy.reset(np.ones(count, bool), np.arange(count))
    conditions = None if goal is None else Conditions(goal=torch.full((count, 1), goal))
    return policy.act(np.zeros((count, 1), np.float32), conditions)[:, 0]
