"""Data sets of goal-free play by OGBench's published recipe, made here and now.

Source: "OGBench" (Park et al. 2024), https://arxiv.org/abs/2410.20092, and its ``data_gen_scripts``. Episodes hold as
many *observations* as OGBench's have rows, one more than transitions: its last action of an episode leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from genrl.data.collect import collect
from genrl.data.environments import env_spec_json, make_env
from genrl.data.episode_seeds import EpisodeSeeds
from genrl.data.episodes import Episodes, concatenate
from genrl.data.errors import ConfigurationError
from genrl.data.goals import in_hindsight
from genrl.data.maze_oracle import navigate, stitch
from genrl.data.plan_oracle import CENTRE, LENGTH, PlanOracle
from genrl.data.policy import Policy


def all_healthy(episodes: Episodes) -> Tensor:
    """(E,) true."""
    return torch.ones(len(episodes), dtype=torch.bool)


def cube_in_sight(episodes: Episodes) -> Tensor:
    """(E,) whether the cube of the scene was always on the table's middle or in the drawer; others are thrown away."""
    cube = episodes.observations["observation"][episodes.observation_rows, 19:22].double() / LENGTH
    _, y, z = (cube + torch.from_numpy(CENTRE)).unbind(-1)
    lost = (y >= 0.29) | ((y <= -0.3) & ((z < 0.06) | (z > 0.08)))
    return torch.zeros(len(episodes)).index_add_(0, episodes.episode_of_transition, lost.float()) == 0


@dataclass(frozen=True)
class Recipe:
    """Who plays where, for how many steps, and which episodes count."""

    env: str
    steps: int
    player: Callable[[gym.Env], Policy]
    healthy: Callable[[Episodes], Tensor] = all_healthy


RECIPES = {
    "cube-single-play": Recipe("genrl/cube-single-v0", 1000, PlanOracle.for_env),
    "scene-play": Recipe("genrl/scene-v0", 1000, PlanOracle.for_env, cube_in_sight),
    "pointmaze-medium-navigate": Recipe("genrl/pointmaze-medium-v0", 1000, navigate),
    "pointmaze-medium-stitch": Recipe("genrl/pointmaze-medium-v0", 200, stitch),
    "pointmaze-teleport-navigate": Recipe("genrl/pointmaze-teleport-v0", 1000, navigate),
    "pointmaze-teleport-stitch": Recipe("genrl/pointmaze-teleport-v0", 200, stitch),
}
"""OGBench's data sets that can be made here; its own hold ten times the default number of transitions."""


def play(name: str, transitions: int = 100_000, seed: int = 0, *, progress: bool = False) -> Episodes:
    """At least ``transitions`` of the data set called ``name``, in whole episodes.

    Args:
        name: a key of ``RECIPES``.
        transitions: how many, at least.
        seed: the one source of all randomness.
        progress: show a progress bar over episodes.

    Returns:
        Episodes with the spaces of ``genrl.data.ogbench_envs.OGBenchGoals``; rewards are 0, and the desired goal of an
        episode is what it achieved at its end. The card names the environment with the official tasks for evaluation.

    Raises:
        ConfigurationError: there is no such recipe, or the package ogbench is not installed.
    """
    if name not in RECIPES:
        raise ConfigurationError(f"There is no recipe '{name}'; there are {', '.join(RECIPES)}.")
    recipe, rounds = RECIPES[name], 0
    kept: list[Episodes] = []
    settings: dict[str, Any] = {"free_play": True, "max_episode_steps": recipe.steps}
    player = recipe.player(make_env(recipe.env, settings))
    while missing := ceil(transitions / recipe.steps) - sum(len(part) for part in kept):
        own = EpisodeSeeds.of(seed, rounds).reset
        played = collect(recipe.env, player, missing, own, num_envs=1, progress=progress, env_options=settings)
        kept.append(played.select(torch.nonzero(recipe.healthy(played)).flatten()))
        rounds += 1
    together = concatenate([part for part in kept if len(part)])
    card = replace(
        played.card,
        eval_env_spec=env_spec_json(make_env(recipe.env)),
        algorithm_name="scripted oracle of ogbench",
        code_permalink="https://github.com/seohongpark/ogbench",
        requirements=("ogbench>=1.2.2",),
        description=f"{together.num_transitions} steps by the recipe of OGBench's {name}. Not OGBench's own file.",
    )
    return in_hindsight(replace(together, card=card))
