"""Fits with captured updates are genrl's own fits: here without the capture, on a CPU, to the bit."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from benchmarks import graphed
from benchmarks.play_models import LEARNERS, fitted
from genrl.data.arrays import from_arrays


def walks():
    """Points that move by a tenth of the action; a goal is where one gets to."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (6, 20, 2)).astype(np.float32)
    places = np.concatenate((np.zeros((6, 1, 2)), 0.1 * actions), axis=1).cumsum(1)
    wide = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    return from_arrays(
        [dict.fromkeys(("observation", "achieved_goal", "desired_goal"), each) for each in places],
        list(actions),
        list(np.zeros((6, 20))),
        observation_space=gym.spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), wide)),
        action_space=gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_a_fit_by_buffers_equals_genrls(name):
    ours, theirs = (LEARNERS[name](seed=3, goal_discount=0.9) for _ in range(2))
    graphed.fit(ours, walks(), 10, 8, device="cpu")
    fitted(theirs, walks(), 10, 8)
    assert theirs.state_dict().keys() == ours.state_dict().keys()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=0, atol=0)
