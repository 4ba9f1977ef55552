"""Dynamics within an observation space."""

import gymnasium as gym
import numpy as np
import torch

from genrl.data.codecs import SpaceCodec
from genrl.dynamics.held import Held
from genrl.dynamics.protocol import Outcome


class Push:
    """s' = s + a."""

    state_dim, action_dim, noise_dim = 2, 2, 0

    def step(self, state, action, noise):
        return Outcome(state + action, state[:, 0], state[:, 0] > 9, {})


def test_the_next_state_is_one_that_an_episode_holds():
    space = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (1,), np.float32), "b": gym.spaces.Box(0, 10, (1,), np.int64)})
    codec = SpaceCodec(space)
    assert not codec.free
    dynamics = Held(Push(), codec)
    assert (dynamics.state_dim, dynamics.action_dim, dynamics.noise_dim) == (2, 2, 0)
    state, action = torch.tensor([[0.5, 9.0], [-0.5, 1.0]]), torch.tensor([[0.25, 0.4], [-2.0, -3.0]])
    found = dynamics.step(state, action, torch.zeros(2, 0)).next_state
    torch.testing.assert_close(found, torch.tensor([[0.75, 9.0], [-1.0, 0.0]]))
    torch.testing.assert_close(codec.encode(codec.decode(found)), found)


def test_numbers_without_bounds_are_free():
    assert SpaceCodec(gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)).free
    assert not SpaceCodec(gym.spaces.Box(0, np.inf, (3,), np.float32)).free
