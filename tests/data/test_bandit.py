"""The bandit against its closed forms."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from genrl.data.bandit import ENV_ID, Misled
from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.store import load, save
from genrl.data.value_iteration import Tables, ValueIteration
from genrl.evaluation.evaluate import evaluate
from genrl.evaluation.policies import make_policy

EPISODES = 1500


def close(share: float, expected: float, count: int) -> bool:
    """Within four standard errors of a share of ``count`` draws."""
    return abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / count)


def test_it_is_an_environment_of_gymnasium():
    check_env(make_env(ENV_ID).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("p", [0.1, 0.4])
def test_the_data_show_the_worse_arm_and_what_it_earns(p):
    env = make_env(ENV_ID, {"p": p})
    data = collect(ENV_ID, make_policy("misled", env), EPISODES, seed=1, num_envs=50, env_options={"p": p})
    assert data.lengths.tolist() == [1] * EPISODES
    assert data.terminations.all()
    second = data.actions[""] == 1
    assert close(second.double().mean().item(), p, EPISODES)
    for arm, chance in ((~second, p), (second, 1 - p)):
        assert close(data.rewards[arm].mean().item(), chance, int(arm.sum()))
    assert close(second[data.rewards == 1].double().mean().item(), 0.5, int(data.rewards.sum()))  # what earned a 1


@pytest.mark.parametrize("p", [0.05, 0.3, 0.8])
def test_its_best_arm_is_found_by_value_iteration(p):
    env = make_env(ENV_ID, {"p": p})
    assert Tables.of(env).optimum(1) == pytest.approx(max(p, 1 - p))
    played = evaluate(ValueIteration.for_env(env), ENV_ID, EPISODES, seed=2, num_envs=50, env_options={"p": p})
    assert close(played.mean, max(p, 1 - p), EPISODES)


def test_a_stored_data_set_names_the_very_bandit(tmp_path):
    save(collect(ENV_ID, Misled(0.2), 5, seed=0, env_options={"p": 0.2}), "bandit/p20-v0", root=tmp_path)
    again = make_env(EnvSpec.from_json(load("bandit/p20-v0", tmp_path).card.env_spec))
    assert again.unwrapped.p == 0.2


def test_the_data_do_not_depend_on_the_environments_side_by_side():
    one, many = (collect(ENV_ID, Misled(0.3), 40, seed=3, num_envs=count) for count in (1, 7))
    assert torch.equal(one.actions[""], many.actions[""])
    assert torch.equal(one.rewards, many.rewards)


def test_the_likelier_arm_without_luck():
    for p, arm in ((0.2, 0), (0.7, 1)):
        assert Misled(p).act(np.zeros(3, np.int64), deterministic=True).tolist() == [arm] * 3


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigurationError, match="probability, from 0 to 1"):
        make_env(ENV_ID, {"p": 1.5})
    with pytest.raises(UnsupportedSpaceError, match=f"arms of {ENV_ID}"):
        Misled.for_env(gym.make("CartPole-v1"))
    with pytest.raises(ConditionError):
        Misled(0.1).act(np.zeros(1, np.int64), Conditions(returns=torch.ones(1)))
