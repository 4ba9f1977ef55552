"""Episodes taken again in the simulator: real ones come back as they were, others as they should have been."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genrl.cli import main
from genrl.data.collect import collect
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import ConditionError, ConfigurationError
from genrl.data.journeys import expert
from genrl.data.policies import RandomPolicy
from genrl.data.stitch_maze import ENV_ID
from genrl.data.store import save
from genrl.data.waypoint import WaypointPolicy
from genrl.evaluation.replay import replay
from genrl.evaluation.simulators import Simulator

MAZE, DENSE = "PointMaze_UMaze-v3", {"reward_type": "dense", "continuing_task": False}


@pytest.fixture(scope="module")
def data() -> Episodes:
    """Episodes of different lengths, for they end at the goal."""
    played = collect(MAZE, WaypointPolicy.for_env(make_env(MAZE)), 6, 1000, max_steps=60, env_options=DENSE)
    assert len(played.lengths.unique()) > 1
    return played


def test_real_episodes_come_back_as_they_were(data):
    again = replay(data)
    np.testing.assert_allclose(again.true, again.predicted, rtol=1e-6)
    assert again.apart.max() < 1e-5
    assert again.acceptance is None


def test_an_episode_goes_on_from_what_is_not_observed_of_it():
    """Walker2d clips the velocities that it shows: most of these states are shown by others, too."""
    walker = "Walker2d-v5"
    played = collect(walker, RandomPolicy(make_env(walker).action_space), 8, 1000, max_steps=100)
    simulator = Simulator.of(played.card)
    assert simulator.hidden(simulator.states(played.observations)).double().mean() > 0.5
    again = replay(played)
    np.testing.assert_allclose(again.true, again.predicted, rtol=1e-6)
    assert again.apart.max() < 1e-6
    shown = played.observations[""].clone()
    shown[played.observation_starts[3], -1] = 10.0
    assert replay(replace(played, observations={"": shown})).left_out == 1


def test_a_goal_that_is_shown_is_the_one_that_rewards():
    shown = collect(ENV_ID, expert(make_env(ENV_ID)), 3, 1000, env_options={"hide_goal": False})
    again = replay(shown)
    np.testing.assert_allclose(again.true, again.predicted, rtol=1e-6)


def test_goals_that_move_within_an_episode_are_followed():
    moving = {"continuing_task": True, "reset_target": True}
    played = collect(MAZE, WaypointPolicy.for_env(make_env(MAZE)), 2, 1000, max_steps=150, env_options=moving)
    goals = played.observations["desired_goal"][: int(played.lengths[0])]
    assert len(goals.unique(dim=0)) > 1
    again = replay(played)
    assert again.apart.max() < 1e-5
    np.testing.assert_allclose(again.true, again.predicted)


def test_a_prediction_is_told_from_what_is_true(data):
    shifted = data.observations["observation"].clone()
    shifted[data.observation_starts + data.lengths] += torch.tensor([3.0, 4.0, 0.0, 0.0])
    dreamt = replace(
        data, rewards=data.rewards + 0.5, observations=data.observations | {"observation": shifted}, infos={}
    )
    again = replay(dreamt)
    np.testing.assert_allclose(again.predicted - again.true, 0.5 * data.lengths.numpy(), rtol=1e-5)
    np.testing.assert_allclose(again.apart, 5.0, rtol=1e-5)


def test_a_hidden_goal_is_taken_as_it_is_to_be_expected():
    """Over many episodes the expected return is the mean one."""
    played = collect(ENV_ID, expert(make_env(ENV_ID)), 30, 1000)
    again = replay(played)
    assert again.apart.max() < 1e-6
    error = again.predicted - again.true
    assert abs(error.mean()) < 3 * error.std() / 30**0.5
    assert error.std() > 1


def test_the_share_that_was_kept_is_told_block_by_block(data):
    numbers = torch.tensor([1, 4, 9, 0, 2, 19])  # two blocks: 10 rollouts and 20
    kept = replace(data, infos={"rollout": numbers.repeat_interleave(data.lengths)})
    again = replay(kept)
    assert again.tried == 30
    assert again.acceptance == pytest.approx(0.2)
    assert "20.00% of 30" in str(again)


def test_the_command_prints_it(data, tmp_path, capsys):
    save(data, "maze/real-v0", root=tmp_path)
    assert main(["replay", "maze/real-v0", "--root", str(tmp_path)]) == 0
    assert "predicted - true, mean ± std" in capsys.readouterr().out


def test_what_cannot_be_taken_again_is_refused(data):
    with pytest.raises(ConfigurationError, match="records no environment"):
        replay(replace(data, card=DatasetCard()))
    walled = data.observations["observation"].clone()
    walled[data.observation_starts[2], :2] = 0.0
    some = replay(replace(data, observations=data.observations | {"observation": walled}))
    assert (some.left_out, len(some.true)) == (1, len(data) - 1)
    np.testing.assert_array_equal(some.true, np.delete(replay(data).true, 2))
    assert ("left out, begin in an impossible state", f"1 of {len(data)}") in some.rows()
    walled[data.observation_starts, :2] = 0.0
    with pytest.raises(ConditionError, match=r"can be put where none of these .* begins"):
        replay(replace(data, observations=data.observations | {"observation": walled}))
