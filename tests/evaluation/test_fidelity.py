"""Distances between data sets against closed forms, and the columns they are taken over."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.columns import Columns
from genrl.data.errors import AlignmentError
from genrl.evaluation.fidelity import correlations, fidelity, scaled_wasserstein


def gaussian(factory, seed, shift=0.0, scale=1.0, correlation=0.0, lengths=(100,) * 200):
    rng = np.random.default_rng(seed)
    rows = sum(lengths) + len(lengths)
    observations = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], rows) * scale + shift
    return factory(list(lengths), observations, rewards=np.full(sum(lengths), 0.5), seed=seed)


def test_a_shift_of_a_gaussian_is_its_distance(episode_factory):
    result = fidelity(gaussian(episode_factory, 0, scale=2.0), gaussian(episode_factory, 1, shift=3.0, scale=2.0))
    assert result.names == ["observation[0]", "observation[1]", "action[0]", "reward"]
    np.testing.assert_allclose(result.marginals, [1.5, 1.5, 0.0, 0.0], atol=0.04)  # 3 over a std of 2; constant reward
    assert result.marginal == pytest.approx(result.marginals.mean())


def test_a_wider_gaussian(episode_factory):
    # W1 between N(0, 1) and N(0, s^2) is |s - 1| E|z| = |s - 1| sqrt(2 / pi)
    result = fidelity(gaussian(episode_factory, 0), gaussian(episode_factory, 1, scale=1.7))
    np.testing.assert_allclose(result.marginals[:2], 0.7 * np.sqrt(2 / np.pi), atol=0.03)


def test_correlations_differ_as_drawn(episode_factory):
    result = fidelity(gaussian(episode_factory, 0, correlation=0.8), gaussian(episode_factory, 1, correlation=-0.2))
    assert result.correlation_real[0, 1] == pytest.approx(0.8, abs=0.02)
    assert result.correlation_synthetic[0, 1] == pytest.approx(-0.2, abs=0.02)
    assert result.correlation == pytest.approx(2 * 1.0 / 12, abs=0.02)  # one pair of 6 differs by 1
    rows = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(correlations(rows), np.corrcoef(rows.T), atol=1e-12)
    assert correlations(np.ones((5, 2))).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_equal_returns_are_constant_whatever_their_rounding(episode_factory):
    real = episode_factory([13] * 10, rewards=np.full(130, 0.7))
    assert real.returns.numpy().std() > 0  # by rounding alone
    result = fidelity(real, episode_factory([13] * 9 + [12], rewards=np.full(129, 0.7)))
    assert result.returns == pytest.approx(0.07)
    assert result.correlation_real[-1, :-1].tolist() == [0.0] * (len(result.names) - 1)


def test_lengths_and_returns(episode_factory):
    real = episode_factory([2, 4], rewards=[1.0] * 6)
    synthetic = episode_factory([5, 7], rewards=[1.0] * 12)
    result = fidelity(real, synthetic)
    assert result.lengths == 3.0
    assert result.returns == 3.0  # returns 2, 4 against 5, 7: off by 3, their std is 1
    assert dict(result.rows())["lengths, W1 in steps"] == "3.00"
    assert scaled_wasserstein(np.array([2.0, 2.0]), np.array([2.5])) == 0.5


def test_equal_data_have_no_distance(episode_factory):
    real = gaussian(episode_factory, 0, lengths=(30,) * 4)
    result = fidelity(real, real)
    assert result.marginals.max() == result.correlation == result.returns == result.lengths == 0.0


def test_columns_of_nested_and_discrete_spaces(episode_factory):
    plain = episode_factory([2, 1])
    space = gym.spaces.Dict(
        {
            "camera": gym.spaces.Box(0, 255, (4, 4, 3), np.uint8),
            "position": gym.spaces.Box(-10, 10, (2, 2), np.float64),
            "keys": gym.spaces.MultiBinary(2),
        }
    )
    position = torch.arange(20.0, dtype=torch.float64).reshape(5, 2, 2) / 2
    mixed = replace(
        plain,
        observation_space=space,
        action_space=gym.spaces.Discrete(3, start=1),
        observations={
            "camera": torch.zeros(5, 4, 4, 3, dtype=torch.uint8),
            "keys": torch.tensor([[0, 1]] * 5, dtype=torch.int8),
            "position": position,
        },
        actions={"": torch.tensor([1, 3, 2])},
    )
    columns = Columns.of(mixed)
    assert columns.left_out == ["camera"]
    named = dict(zip(columns.names, columns.rows.T.tolist(), strict=True))
    assert named["position[0,1]"] == position[[0, 1, 3], 0, 1].tolist()  # the last observations begin no transition
    assert named["keys[1]"] == [1.0, 1.0, 1.0]
    assert [named[f"action={value}"] for value in (1, 2, 3)] == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert named["reward"] == pytest.approx(mixed.rewards.tolist())
    with pytest.raises(AlignmentError, match=r"action=1|action\[0\]"):
        fidelity(plain, mixed)
