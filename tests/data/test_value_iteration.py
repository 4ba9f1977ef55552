"""Value iteration against Gymnasium's tables, against linear algebra, and against play."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.value_iteration import Tables, ValueIteration
from genrl.evaluation.policies import make_policy


def lake(slip: float, size: str = "4x4") -> gym.Env:
    return make_env("FrozenLake-v1", {"success_rate": 1 - slip, "map_name": size})


def test_the_tables_are_those_of_the_environment():
    """Of the well-known slippery lake: to the left of the start is the wall, below it the ice."""
    tables = Tables.of(lake(2 / 3))
    np.testing.assert_allclose(tables.chance.sum(2)[0], 1)
    np.testing.assert_allclose(tables.chance[0, 0, [0, 4]], [2 / 3, 1 / 3])  # left: stay, stay, or slip down
    assert tables.reward[14, 2] == pytest.approx(1 / 3)  # right, towards the goal
    assert tables.chance[14, 2, 15] == 0  # which ends the episode
    assert not tables.chance[5].any()  # so does a hole


def test_the_optimum_is_gymnasiums():
    """Gymnasium's own comments say 0.74 for its slippery lake of 100 steps, and 0.91 for that of 8 by 8 in 200."""
    assert Tables.of(lake(2 / 3)).optimum(100) == pytest.approx(0.74, abs=0.005)
    assert Tables.of(lake(2 / 3, "8x8")).optimum(200) == pytest.approx(0.91, abs=0.005)
    assert Tables.of(lake(0, "8x8")).optimum(14) == 1.0  # the way is 14 steps long
    assert Tables.of(lake(0, "8x8")).optimum(13) == 0.0
    assert Tables.of(make_env("CliffWalking-v1")).optimum(100) == -13  # the textbook's


@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "CliffWalkingSlippery-v1", "Taxi-v4"])
def test_values_solve_bellmans_equation(env_id):
    """The policy's own values, by linear algebra, are the best: nothing is gained by another action."""
    tables = Tables.of(make_env(env_id))
    best = ValueIteration(tables, discount=0.95).best
    states = np.arange(len(best))
    kept = np.eye(len(best)) - 0.95 * tables.chance[states, best]
    values = np.linalg.solve(kept, tables.reward[states, best])
    np.testing.assert_allclose(tables.backup(values, 0.95).max(1), values, atol=1e-8)


@pytest.mark.parametrize("slip", [0.0, 1 / 3, 2 / 3])
def test_play_earns_what_the_tables_say(slip):
    env = lake(slip)
    policy = make_policy("value_iteration", env, {"epsilon": 0.3})
    settings = {"success_rate": 1 - slip}
    played = collect("FrozenLake-v1", policy, 700, seed=5, num_envs=50, env_options=settings)
    expected = Tables.of(env).expected_return(policy.chances, 100)
    assert abs(played.returns.mean().item() - expected) < 4 * np.sqrt(expected * (1 - expected) / 700)
    assert int(played.lengths.max()) <= 100


def test_the_best_policy_for_a_limited_time_earns_the_optimum():
    """Backwards from the last step, played by hand on Gymnasium's lake."""
    env, steps = lake(1 / 3), 12
    tables = Tables.of(env)
    values, decisions = np.zeros(16), []
    for _ in range(steps):
        worth = tables.backup(values)
        values = worth.max(1)
        decisions.append(worth.argmax(1))
    earned = []
    env.reset(seed=0)
    for _ in range(2000):
        state, _ = env.reset()
        reward, ended, left = 0.0, False, steps
        while left and not ended:
            left -= 1
            state, reward, ended, *_ = env.step(int(decisions[left][state]))
        earned.append(reward)
    optimum = tables.optimum(steps)
    assert abs(np.mean(earned) - optimum) < 4 * np.sqrt(optimum * (1 - optimum) / 2000)
    assert optimum > tables.expected_return(ValueIteration(tables).chances, steps)  # which does not know of the time


def test_epsilon_is_the_share_of_actions_that_are_drawn():
    policy = ValueIteration(Tables.of(lake(2 / 3)), epsilon=0.4)
    count = 6000
    policy.reset(np.ones(count, bool), np.arange(count))
    taken = policy.act(np.full(count, 6))
    shares = np.bincount(taken, minlength=4) / count
    np.testing.assert_allclose(shares, policy.chances[6], atol=0.025)
    assert policy.act(np.arange(16), deterministic=True).tolist() == policy.best.tolist()


def test_the_data_do_not_depend_on_the_environments_side_by_side():
    policy = ValueIteration(Tables.of(make_env("CliffWalkingSlippery-v1")), epsilon=0.2)
    limit = {"max_episode_steps": 60}
    one, many = (
        collect("CliffWalkingSlippery-v1", policy, 6, seed=3, num_envs=count, env_options=limit) for count in (1, 4)
    )
    assert torch.equal(one.actions[""], many.actions[""])
    assert torch.equal(one.observations[""], many.observations[""])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UnsupportedSpaceError, match="table of transitions"):
        ValueIteration.for_env(gym.make("CartPole-v1"))
    for settings, words in (({"epsilon": 1.1}, "share of the actions"), ({"discount": 1.0}, "below 1, not 1")):
        with pytest.raises(ConfigurationError, match=words):
            ValueIteration.for_env(lake(0.5), **settings)
    with pytest.raises(ConditionError):
        ValueIteration.for_env(lake(0.5)).act(np.zeros(1, np.int64), Conditions(returns=torch.ones(1)))
