"""Errors of transitions: real ones have none, changed ones have the error that was put in, impossible ones count."""

import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import AlignmentError, ConfigurationError, UnsupportedSpaceError
from genrl.data.policies import RandomPolicy
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation.dynamics_error import difference, dynamics_error, shuffled_actions

MAZE = "PointMaze_UMaze-v3"


@pytest.fixture(scope="module")
def hopper() -> Episodes:
    return collect("Hopper-v5", RandomPolicy(make_env("Hopper-v5").action_space), 60, seed=1000)


@pytest.fixture(scope="module")
def cheetah() -> Episodes:
    return collect("HalfCheetah-v5", RandomPolicy(make_env("HalfCheetah-v5").action_space), 4, 1000, max_steps=200)


@pytest.fixture(scope="module")
def maze() -> Episodes:
    policy = WaypointPolicy.for_env(make_env(MAZE), noise=0.3)
    return collect(MAZE, policy, 6, 1000, max_steps=150, env_options={"continuing_task": True, "reset_target": True})


@pytest.fixture(params=["hopper", "cheetah", "maze"])
def real(request) -> Episodes:
    return request.getfixturevalue(request.param)


def test_real_data_have_no_error_and_shuffled_actions_have(real):
    sound, control = dynamics_error(real, real), dynamics_error(shuffled_actions(real), real)
    assert len(sound.errors) + sound.hidden == sound.transitions == real.num_transitions
    assert sound.errors.max() < 1e-9
    assert sound.rewards.max() < 1e-9
    assert sound.agreement == 1.0
    assert sound.impossible == 0
    assert control.median > 0.1
    assert control.high > 0.5
    assert control.impossible == 0


def test_shuffling_permutes_the_actions_alone(maze):
    other = shuffled_actions(maze, seed=1)
    assert torch.equal(maze.actions[""].sort(0).values, other.actions[""].sort(0).values)
    assert not torch.equal(maze.actions[""], other.actions[""])
    assert torch.equal(maze.observations["observation"], other.observations["observation"])


def last_states_moved(data: Episodes, by: torch.Tensor) -> Episodes:
    """Episodes of one step each whose final state is off by ``by`` (S,), as if each transition were an episode."""
    rows = data.observation_rows
    leaf = data.observations[""]
    pairs = torch.stack((leaf[rows], leaf[rows + 1] + by), dim=1).flatten(0, 1)
    ones = torch.ones(data.num_transitions, dtype=torch.int64)
    ends = ~data.terminations
    return replace(data, observations={"": pairs}, lengths=ones, truncations=ends, infos={}, seeds=None)


def test_the_error_is_what_was_put_in_over_the_real_changes(cheetah):
    rows = cheetah.observation_rows
    changes = (cheetah.observations[""][rows + 1] - cheetah.observations[""][rows]).numpy()
    by = torch.zeros(17, dtype=torch.float64)
    by[3], by[9] = 0.2, -0.7
    result = dynamics_error(last_states_moved(cheetah, by), cheetah)
    expected = np.abs(by.numpy()) / changes.std(0)
    np.testing.assert_allclose(result.states, np.tile(expected, (len(rows), 1)), atol=1e-9)
    assert result.median == pytest.approx(math.sqrt((expected**2).mean()))
    assert result.high == pytest.approx(result.median)
    assert {name: (low, high) for name, low, high in result.columns() if low > 1e-6} == {
        "observation[3]": pytest.approx((expected[3], expected[3])),
        "observation[9]": pytest.approx((expected[9], expected[9])),
    }
    off = replace(cheetah, rewards=cheetah.rewards + 0.5)
    np.testing.assert_allclose(dynamics_error(off, cheetah).rewards, 0.5 / cheetah.rewards.numpy().std(), rtol=1e-9)


def test_angles_are_compared_around_the_circle(cheetah):
    by = torch.zeros(17, dtype=torch.float64)
    by[1] = 2 * math.pi  # the pitch of the body
    assert dynamics_error(last_states_moved(cheetah, by), cheetah).errors.max() < 1e-9
    by[1] = math.pi / 2
    assert dynamics_error(last_states_moved(cheetah, by), cheetah).median > 1
    angles = torch.tensor([True, False])
    apart = difference(torch.tensor([[3.0, 3.0]]), torch.tensor([[-3.0, -3.0]]), angles)
    torch.testing.assert_close(apart, torch.tensor([[6 - 2 * math.pi, 6.0]]))


def test_impossible_states_are_counted_and_not_measured(hopper):
    leaf = hopper.observations[""].clone()
    fallen, fast = hopper.observation_rows[[0, 5, 9]], hopper.observation_rows[[20, 21]]
    leaf[fallen, 0], leaf[fast, 10] = 0.3, 12.0
    leaf[hopper.observation_rows[30]] = torch.nan
    result = dynamics_error(replace(hopper, observations={"": leaf}), hopper)
    assert result.impossible == 6
    assert result.impossible_share == 6 / hopper.num_transitions
    expected = {"not finite": 1, "velocity beyond its clip": 2, "after the episode's end": 3, "unstable": 0}
    assert result.faults == expected
    assert len(result.errors) == hopper.num_transitions - 6 - result.hidden
    nowhere = replace(hopper, observations={"": torch.full_like(leaf, torch.nan)})
    empty = dynamics_error(nowhere, hopper)
    assert empty.impossible_share == 1.0
    assert math.isnan(empty.median)
    assert math.isnan(empty.agreement)
    assert "100.00 %" in str(empty)


def test_a_ball_that_goes_through_a_wall(maze):
    leaves = {path: leaf.clone() for path, leaf in maze.observations.items()}
    leaves["observation"][maze.observation_rows[3], :2] = torch.tensor([0.0, 0.0], dtype=torch.float64)
    result = dynamics_error(replace(maze, observations=leaves), maze)
    assert result.faults["inside a wall"] == result.impossible == 1
    assert result.errors.max() > 1  # the step before ends there


def test_terminations_that_disagree(hopper):
    assert hopper.terminations.sum() == 60
    none = replace(hopper, terminations=torch.zeros_like(hopper.terminations))
    assert dynamics_error(none, hopper).agreement == pytest.approx(1 - 60 / hopper.num_transitions, abs=0.01)


def test_of_many_transitions_some_are_drawn_by_the_seed(maze):
    first, again = (dynamics_error(shuffled_actions(maze), maze, seed=3, most=100) for _ in range(2))
    assert first.transitions == 100
    np.testing.assert_array_equal(first.states, again.states)
    other = dynamics_error(shuffled_actions(maze), maze, seed=4, most=100)
    assert other.median != first.median


def test_the_environment_may_be_named_by_either_card(maze):
    bare = replace(maze, card=DatasetCard())
    assert dynamics_error(bare, maze).median == dynamics_error(maze, bare).median == 0.0
    with pytest.raises(ConfigurationError, match="records no environment"):
        dynamics_error(bare, bare)


def test_what_cannot_be_measured_is_refused(maze, hopper):
    with pytest.raises(AlignmentError, match="the data hold"):
        dynamics_error(replace(maze, card=DatasetCard()), hopper)
    with pytest.raises(AlignmentError, match="actions of shape"):
        dynamics_error(replace(hopper, actions={"": torch.zeros(hopper.num_transitions, 2)}), hopper)
    walker = replace(hopper, card=replace(hopper.card, env_spec=gym.spec("Walker2d-v5").to_json()))
    with pytest.raises(AlignmentError, match="The data are of Hopper, the real ones of Walker2d"):
        dynamics_error(hopper, walker)
    with pytest.raises(ConfigurationError, match="at least 1, not -5"):
        dynamics_error(hopper, hopper, most=-5)
    pole = collect("CartPole-v1", RandomPolicy(gym.make("CartPole-v1").action_space), 2, seed=1000)
    with pytest.raises(UnsupportedSpaceError, match="CartPole"):
        dynamics_error(pole, pole)


def test_rows_say_what_was_found(maze):
    rows = dict(dynamics_error(maze, maze).rows())
    assert rows["transitions"] == "900"
    assert rows["next state, median in std of real changes"] == "0"
    assert rows["terminations that agree"] == "100.00 %"
