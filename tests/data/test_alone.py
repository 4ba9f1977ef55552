"""One environment driven by a policy for many, as ``collect`` drives it."""

import gymnasium as gym
import numpy as np
import pytest

from genrl.data.alone import Alone
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episode_seeds import EpisodeSeeds
from genrl.data.policies import RandomPolicy
from genrl.data.waypoint import WaypointPolicy


@pytest.mark.parametrize(
    ("name", "make"),
    [("CartPole-v1", lambda env: RandomPolicy(env.action_space)), ("PointMaze_UMaze-v3", WaypointPolicy.for_env)],
)
def test_an_ordinary_loop_lives_the_same_episode(name, make):
    env = make_env(name)
    seeds = EpisodeSeeds.of(5, 0)
    policy = Alone.of(make(env), env)
    observation, _ = env.reset(seed=seeds.reset)
    policy.reset(seeds.policy)
    actions = []
    for _ in range(12):
        actions.append(policy.act(observation))
        observation, _, terminated, truncated, _ = env.step(actions[-1])
        if terminated or truncated:
            break
    episode = collect(name, make(env), 1, 5, max_steps=12)
    np.testing.assert_array_equal(np.stack(actions), episode.actions[""].numpy())
    assert env.action_space.contains(actions[0]) or isinstance(env.action_space, gym.spaces.Discrete)
