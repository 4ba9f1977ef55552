"""Small episodes from plain arrays."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.episodes import Episodes


def episodes_of(lengths, observations=None, actions=None, rewards=None, infos=None, seed=0) -> Episodes:
    """Episodes of these lengths in Box spaces; what is not given is standard normal."""
    rng = np.random.default_rng(seed)
    total, rows = sum(lengths), sum(lengths) + len(lengths)
    observations = rng.normal(size=(rows, 2)) if observations is None else np.asarray(observations)
    actions = rng.normal(size=(total, 1)) if actions is None else np.asarray(actions)
    ends = torch.zeros(total, dtype=torch.bool)
    ends[torch.cumsum(torch.tensor(lengths), 0) - 1] = True
    return Episodes(
        observation_space=gym.spaces.Box(-np.inf, np.inf, observations.shape[1:], np.float64),
        action_space=gym.spaces.Box(-np.inf, np.inf, actions.shape[1:], np.float64),
        observations={"": torch.from_numpy(observations)},
        actions={"": torch.from_numpy(actions)},
        rewards=torch.from_numpy(rng.normal(size=total) if rewards is None else np.asarray(rewards, float)),
        terminations=torch.zeros(total, dtype=torch.bool),
        truncations=ends,
        lengths=torch.tensor(lengths),
        infos=infos or {},
    )


@pytest.fixture
def episode_factory():
    return episodes_of
