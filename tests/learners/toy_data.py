"""Small data sets whose best answers are known, and the list of learners that the general tests go through."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import lightning as L
import numpy as np
import torch

from genrl.data.arrays import from_arrays
from genrl.data.episodes import Episodes
from genrl.learners.agent import Agent
from genrl.learners.bc import BC
from genrl.learners.cql import CQL
from genrl.learners.gcbc import GCBC
from genrl.learners.iql import IQL
from genrl.learners.percent_bc import PercentBC
from genrl.learners.sac import SAC
from genrl.learners.td3bc import TD3BC
from genrl.nets.mlp import MLP
from genrl.training.datamodule import EpisodesData

SMALL = partial(MLP, width=32)
LINEAR = partial(MLP, layers=0)

LEARNERS = {
    "bc": partial(BC, net=partial(MLP, width=16, dropout=0.1)),
    "percent_bc": partial(PercentBC, net=partial(MLP, width=16), percent=100),
    "gcbc": partial(GCBC, net=partial(MLP, width=16)),
    "td3bc": partial(TD3BC, actor_net=partial(MLP, width=16, dropout=0.1), critic_net=partial(MLP, width=16)),
    "sac": partial(SAC, actor_net=partial(MLP, width=16, dropout=0.1), critic_net=partial(MLP, width=16)),
    "cql": partial(CQL, actor_net=SMALL, critic_net=partial(MLP, width=16, dropout=0.1), samples=3),
    "iql": partial(IQL, actor_net=SMALL, critic_net=SMALL, value_net=SMALL),
}


def box(dim: int, low: float = -1.0, high: float = 1.0) -> gym.spaces.Box:
    return gym.spaces.Box(low, high, (dim,), np.float32)


def random_walks(episodes: int = 6, steps: int = 20, seed: int = 0, within: float = np.inf) -> Episodes:
    """A point that moves by a tenth of the action in a plane, with a goal: every learner can take these."""
    rng = np.random.default_rng(seed)
    shape = (episodes, steps)
    actions = rng.uniform(-1, 1, (*shape, 2)).astype(np.float32)
    moves = np.concatenate([rng.normal(size=(episodes, 1, 2)), 0.1 * actions], axis=1)
    places = moves.cumsum(1)
    goals = np.repeat(rng.normal(size=(episodes, 1, 2)), steps + 1, axis=1)
    wide = gym.spaces.Box(-within, within, (2,), np.float64)
    space = gym.spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), wide))
    return from_arrays(
        [{"observation": p, "achieved_goal": p, "desired_goal": g} for p, g in zip(places, goals, strict=True)],
        list(actions),
        list(-np.linalg.norm(places - goals, axis=-1)[:, 1:]),
        observation_space=space,
        action_space=box(2),
    )


def bandit(actions: np.ndarray, rewards: np.ndarray) -> Episodes:
    """Episodes of one step in a single state, all terminated."""
    count = len(actions)
    return from_arrays(
        np.zeros((2 * count, 1), np.float32),
        actions.astype(np.float32)[:, None],
        rewards,
        np.ones(count, bool),
        lengths=[1] * count,
        observation_space=box(1),
        action_space=box(1),
    )


def clock(terminated: bool, steps: int = 3, episodes: int = 40) -> Episodes:
    """A reward of 1 per step; terminated episodes observe the time, truncated ones nothing."""
    rng = np.random.default_rng(0)
    total = episodes * steps
    ends = np.arange(total) % steps == steps - 1
    time = np.tile(np.arange(steps + 1) / steps, episodes) if terminated else np.zeros(episodes * (steps + 1))
    return from_arrays(
        time.astype(np.float32)[:, None],
        rng.uniform(-1, 1, (total, 1)).astype(np.float32),
        np.ones(total),
        ends & terminated,
        ends & (not terminated),
        lengths=[steps] * episodes,
        observation_space=box(1),
        action_space=box(1),
    )


def equal_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def observations(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(count, 2)) for name in ("observation", "achieved_goal", "desired_goal")}


def trainer(folder, **settings) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 2, **settings},
    )


def walks_data() -> EpisodesData:
    return EpisodesData(random_walks(), batch_size=16, val_fraction=0.2, val_batches=1, batches_per_epoch=10)


def alone_and_together(learner: Agent, count: int, steps: int) -> Iterator[tuple[Any, Any]]:
    """Before each step, two policies for ``count`` environments, the second asked for three at once.

    The second environment begins anew at the third step, and so has another past than its neighbours.
    """
    pair = learner.policy(), learner.policy(together=3)
    for step in range(steps):
        beginning = np.arange(count) == 1 if step == 2 else np.full(count, step == 0)
        if beginning.any():
            for policy in pair:
                policy.reset(beginning, np.arange(count) if step == 0 else np.full(count, 77))
        yield pair
