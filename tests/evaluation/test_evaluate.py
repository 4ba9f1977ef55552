"""Evaluation of policies in real environments against what the environments say themselves."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.episodes import DatasetCard
from genrl.data.policies import RandomPolicy
from genrl.data.waypoint import Grid, WaypointPolicy
from genrl.evaluation.evaluate import Evaluation, evaluate, successes


class Constant:
    """Pushes MountainCarContinuous with the same force for ever."""

    def reset(self, mask, seeds):
        pass

    def act(self, observations, conditions=None, deterministic=False):
        self.deterministic = deterministic
        return np.full((len(observations), 1), 0.5, np.float32)


def test_returns_are_those_of_a_plain_loop():
    policy = Constant()
    evaluation = evaluate(policy, "MountainCarContinuous-v0", episodes=3, seed=4, num_envs=2, max_steps=50)
    env = gym.make("MountainCarContinuous-v0")
    for index, seed in enumerate(evaluation.episodes.seeds.tolist()):
        env.reset(seed=seed)
        total = sum(float(env.step(np.array([0.5], np.float32))[1]) for _ in range(50))
        assert evaluation.returns[index] == pytest.approx(total)
    assert evaluation.lengths.tolist() == [50, 50, 50]
    assert evaluation.mean == pytest.approx(-50 * 0.1 * 0.25)
    assert policy.deterministic
    assert evaluation.success is None
    assert evaluation.score is None


def test_the_result_does_not_depend_on_the_number_of_environments():
    space = gym.make("MountainCarContinuous-v0").action_space
    policy = RandomPolicy(space)
    one, three = (evaluate(policy, "MountainCarContinuous-v0", 4, 0, num_envs=count, max_steps=30) for count in (1, 3))
    np.testing.assert_array_equal(one.returns, three.returns)
    assert str(one) == str(three)


def test_scores_come_from_the_card_or_the_environment():
    card = DatasetCard("toy/x-v0", ref_min_score=-10.0, ref_max_score=0.0)
    evaluation = evaluate(Constant(), "MountainCarContinuous-v0", 2, 0, max_steps=40, card=card)
    assert evaluation.score.value == pytest.approx(100 * (10 - 40 * 0.1 * 0.25) / 10)
    hopper = evaluate(RandomPolicy(gym.make("Hopper-v5").action_space), "Hopper-v5", 2, 0)
    assert hopper.scores == pytest.approx(100 * (hopper.returns + 20.272305) / (3234.3 + 20.272305))
    assert "normalised score in %" in str(hopper)


def test_success_is_reported_in_a_maze():
    maze = [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    options = {"maze_map": maze, "continuing_task": False}
    waypoint = WaypointPolicy(Grid(maze))
    arrived = evaluate(waypoint, "PointMaze_UMaze-v3", 3, 0, env_options=options)
    assert arrived.success.tolist() == [True] * 3
    assert arrived.success_rate.low < 1.0  # three episodes cannot prove a rate of one
    lost = evaluate(waypoint, "PointMaze_UMaze-v3", 3, 0, env_options=options, max_steps=1)
    assert lost.success.tolist() == [False] * 3


def test_success_at_any_step_counts(episode_factory):
    episodes = episode_factory([3, 2, 1], infos={"success": torch.tensor([0, 1, 0, 0, 0, 1])})
    assert successes(episodes).tolist() == [True, False, True]
    with_first = episode_factory([3, 2, 1], infos={"success": torch.tensor([0, 0, 1, 0, 0, 0, 0, 1, 0])})
    assert successes(with_first).tolist() == [True, False, True]
    assert Evaluation(episode_factory([2])).success_rate is None
