"""Collect episodes with any policy: the same data set whatever the number of environments side by side."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from genrl.data.conditions import Conditions
from genrl.data.environments import EnvLike, Lockstep, env_spec_json, make_env
from genrl.data.episode_seeds import EpisodeSeeds
from genrl.data.episodes import DatasetCard, Episodes, concatenate
from genrl.data.policy import Policy, receive, told
from genrl.data.ranges import require_whole
from genrl.data.record import Record

ResetOptions = Callable[[int, np.random.Generator], dict[str, Any] | None]
"""(episode index, the episode's own generator) -> the ``options`` of that episode's reset."""


def collect(
    env: EnvLike,
    policy: Policy,
    episodes: int,
    seed: int,
    *,
    num_envs: int = 8,
    conditions: Conditions | None = None,
    deterministic: bool = False,
    max_steps: int | None = None,
    progress: bool = False,
    env_options: Mapping[str, Any] | None = None,
    reset_options: ResetOptions | None = None,
) -> Episodes:
    """Run ``policy`` for whole episodes and keep everything, T + 1 observations included.

    Episode e draws its reset seed, its policy seed and its reset options from (seed, e) alone, and episodes come back
    in the order of their index: the data depend neither on ``num_envs`` nor on which episode finishes first. A policy
    that wants to know what it earns (``Rewarded``) is told after every step, and what a policy tells itself
    (``Telling``) is kept among the infos.

    Args:
        env: environment id, Gymnasium specification, or a function that makes an environment.
        policy: anything that follows the policy protocol.
        episodes: how many episodes to collect.
        seed: the one source of all randomness.
        num_envs: environments stepped side by side in this process.
        conditions: row e is passed to the policy while it acts in episode e.
        deterministic: passed on to the policy.
        max_steps: an episode that is still running after so many steps is truncated.
        progress: show a progress bar.
        env_options: passed to the maker of the environment.
        reset_options: options for each episode's reset, e.g. the start and goal cells of a maze.

    Returns:
        Episodes with float64 rewards, every numeric info that is present at each step, and the environment's
        specification in the card. Where an environment both terminates and truncates, termination counts.

    Raises:
        ConfigurationError: an environment that cannot be made or is the same at every call, a count below one, or a
            negative seed.
        ConditionError: ``conditions`` do not have one row per episode.
        AlignmentError, NonFiniteError, OutOfSpaceError: the policy's actions do not fit the action space, or the
            environment's observations their space.
    """
    require_whole(1, episodes=episodes, num_envs=num_envs, max_steps=max_steps)
    require_whole(0, seed=seed)
    if conditions is not None:
        conditions.require("collect", set(conditions.given()), batch=episodes)
    plans = [EpisodeSeeds.of(seed, index) for index in range(episodes)]
    finished: dict[int, Episodes] = {}
    with ExitStack() as opened:
        envs = [opened.enter_context(closing(make_env(env, env_options))) for _ in range(min(num_envs, episodes))]
        lockstep = Lockstep(envs)
        played = _play(lockstep, policy, plans, conditions, deterministic, max_steps, reset_options)
        for index, episode in tqdm(played, total=episodes, unit="episode", disable=not progress):
            finished[index] = episode
    together = concatenate([finished[index] for index in range(episodes)])
    return replace(together, card=DatasetCard(env_spec=env_spec_json(envs[0])))


def _play(
    lockstep: Lockstep,
    policy: Policy,
    plans: list[EpisodeSeeds],
    conditions: Conditions | None,
    deterministic: bool,
    max_steps: int | None,
    reset_options: ResetOptions | None,
) -> Iterator[tuple[int, Episodes]]:
    """Yield (index, episode) as episodes finish; a free environment takes the next episode that waits."""
    running = np.arange(len(lockstep))  # the episode in each environment
    active, fresh = np.ones(len(lockstep), bool), np.ones(len(lockstep), bool)
    waiting = iter(range(len(lockstep), len(plans)))
    records: dict[int, Record] = {}
    wishes = conditions
    while active.any():
        if fresh.any():
            for slot in np.flatnonzero(fresh):
                records[slot] = _begin(lockstep, slot, running[slot], plans, reset_options)
            policy.reset(fresh.copy(), np.array([plans[index].policy for index in running], dtype=np.int64))
            wishes = None if conditions is None else conditions.rows(torch.from_numpy(running))
            fresh[:] = False
        actions = lockstep.checked(policy.act(lockstep.batch(), wishes, deterministic), active)
        beside = told(policy)
        results = {slot: lockstep.step(slot, actions) for slot in np.flatnonzero(active)}
        receive(policy, np.array([results[slot].reward if active[slot] else 0.0 for slot in range(len(lockstep))]))
        after = lockstep.snapshot()
        for slot, result in results.items():
            records[slot].add(actions, beside, result, after, max_steps)
            if records[slot].over:
                yield int(running[slot]), records[slot].episode()
                following = next(waiting, None)
                active[slot] = fresh[slot] = following is not None
                running[slot] = running[slot] if following is None else following


def _begin(
    lockstep: Lockstep, slot: int, index: int, plans: list[EpisodeSeeds], reset_options: ResetOptions | None
) -> Record:
    """Reset the environment at ``slot`` for episode ``index``."""
    seeds = plans[index]
    lockstep.reset(slot, seeds.reset, reset_options(int(index), seeds.options) if reset_options else None)
    return Record(lockstep, slot, seeds.reset)
