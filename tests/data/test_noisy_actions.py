"""Noise on actions against its formula, and that it travels with the data."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec

from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.data.noisy_actions import BODIES, NoisyActions
from genrl.data.policies import CallablePolicy, RandomPolicy
from genrl.data.store import load, save


class Echo(gym.Env):
    """Observes the action that reached it."""

    def __init__(self, reach: float = 100.0) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = gym.spaces.Box(-reach, reach, (2,), np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2), {}

    def step(self, action):
        return action.copy(), 0.0, False, False, {}


def test_its_spread_over_time_is_the_papers():
    """(1 - exp(-0.01 t)) |sin t| sigma, over 1,200 episodes of two actions each."""
    env, steps = NoisyActions(Echo(), sigma=0.8), 30
    env.reset(seed=0)
    seen = np.empty((1200, steps, 2))
    for episode in seen:
        env.reset()
        episode[:] = [env.step(np.full(2, 0.5))[0] for _ in range(steps)]
    t = np.arange(steps)
    expected = (1 - np.exp(-0.01 * t)) * np.abs(np.sin(t)) * 0.8
    np.testing.assert_allclose((seen - 0.5).std((0, 2)), expected, rtol=0.1, atol=1e-12)
    assert np.abs((seen - 0.5).mean((0, 2))).max() < 0.03
    assert abs(np.corrcoef(seen[:, 20].T)[0, 1]) < 0.12  # each motor has noise of its own


def test_what_reaches_the_environment_stays_in_its_space():
    env = NoisyActions(Echo(reach=0.1), sigma=50.0)
    env.reset(seed=0)
    reached = np.array([env.step(np.zeros(2))[0] for _ in range(30)])
    assert env.action_space == Echo(0.1).action_space
    assert np.abs(reached[1:]).max() == 0.1


def test_the_seed_of_a_reset_decides_the_noise():
    first, second = (make_env("genrl/NoisyHopper-v5", {"sigma": 1.0}) for _ in range(2))
    first.reset(seed=9)
    first.step(np.zeros(3, np.float32))
    states = []
    for env in (first, second):
        env.reset(seed=4)
        states.append([env.step(np.full(3, 0.2, np.float32))[0] for _ in range(15)])
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize("env_id", BODIES)
def test_without_noise_it_is_the_body_itself(env_id):
    noisy, plain = make_env(f"genrl/Noisy{env_id}", {"sigma": 0.0}), gym.make(env_id)
    assert noisy.spec.max_episode_steps == plain.spec.max_episode_steps
    action = np.full(plain.action_space.shape, 0.3, plain.action_space.dtype)
    for env in (noisy, plain):
        env.reset(seed=2)
    for _ in range(5):
        ours, theirs = noisy.step(action), plain.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:3] == theirs[1:3]


def test_a_data_set_holds_the_actions_asked_for_and_its_environment_the_noise(tmp_path):
    def asked(observations):
        return np.full((len(observations), 3), 0.25, np.float32)

    data = collect("genrl/NoisyHopper-v5", CallablePolicy(asked), 2, seed=7, env_options={"sigma": 0.9})
    assert (data.actions[""] == 0.25).all()
    save(data, "hopper/noisy-v0", root=tmp_path)
    stored = load("hopper/noisy-v0", tmp_path)
    again = make_env(EnvSpec.from_json(stored.card.env_spec))
    for index, episode in enumerate(stored):
        observation, _ = again.reset(seed=int(stored.seeds[index]))
        for expected in episode.observations[""]:
            np.testing.assert_array_equal(observation, expected.numpy())
            observation, *_ = again.step(np.full(3, 0.25, np.float32))
    quiet = make_env("genrl/NoisyHopper-v5", {"sigma": 0.0})
    quiet.reset(seed=int(stored.seeds[0]))
    for _ in range(2):  # at time 0 there is no noise
        observation, *_ = quiet.step(np.full(3, 0.25, np.float32))
    assert not np.array_equal(observation, stored.observations[""][2].numpy())


def test_any_environment_may_be_wrapped():
    env = NoisyActions(gym.make("Pendulum-v1"), 0.4)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    rewards = [collect(lambda env=env: env, RandomPolicy(env.action_space), 1, 3).rewards for env in (env, again)]
    assert torch.equal(*rewards)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigurationError, match="so not -1"):
        NoisyActions(Echo(), -1)
    with pytest.raises(UnsupportedSpaceError, match="not in Discrete"):
        NoisyActions(gym.make("CartPole-v1"), 0.1)
