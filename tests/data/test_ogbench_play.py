"""Play data against what OGBench's package and recipe say of it."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from mazes import lengths_of_paths
from numpy.testing import assert_allclose

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.maze_oracle import Maze, navigate, stitch
from genrl.data.ogbench_envs import simulator
from genrl.data.ogbench_play import cube_in_sight, play
from genrl.data.plan_oracle import PlanOracle, set_simulator
from genrl.evaluation.policies import make_policy

pytest.importorskip("ogbench")
FREE = {"free_play": True}


@pytest.fixture(scope="module")
def cube():
    return play("cube-single-play", 1000, seed=5)


@pytest.fixture(scope="module")
def scene_oracle():
    return PlanOracle("scene-v0")


@pytest.fixture(scope="module")
def maze():
    return Maze("pointmaze-medium-v0")


def test_an_episode_is_as_long_as_the_recipe_says(cube):
    assert cube.lengths.tolist() == [1000]  # 1001 observations, as OGBench's episodes have rows
    assert cube.truncations[-1]
    ours = gym.make("cube-single-v0").observation_space
    assert cube.observation_space["observation"].shape == ours.shape
    assert torch.equal(cube.observations["desired_goal"][3], cube.observations["achieved_goal"][-1])
    assert not cube.rewards.any()


def test_the_arm_carries_the_cube_to_place_after_place(cube):
    place = cube.observations["observation"][:, 19:22].double().numpy() / 10 + [0.425, 0, 0]
    carried = place[:, 2] > 0.06
    lifts = np.count_nonzero(np.diff(carried.astype(int)) == 1)
    assert 7 <= lifts <= 15  # the recipe's plans take 88 steps on average, noise shakes some lifts
    resting = place[~carried & (np.abs(place[:, 2] - 0.02) < 0.005)]
    assert resting[:, 0].min() > 0.27
    assert resting[:, 0].max() < 0.58
    assert np.abs(resting[:, 1]).max() < 0.33  # targets are drawn from [0.3, 0.55] x [-0.3, 0.3]


@pytest.mark.parametrize("env_id", ["cube-single-v0", "scene-v0"])
def test_a_simulator_is_set_to_what_was_observed(env_id):
    seen, other = simulator(env_id, free_play=True), simulator(env_id, free_play=True)
    seen.reset(seed=4)
    other.reset(seed=9)
    for _ in range(20):
        state, *_ = seen.step(np.array([0.1, -0.4, 0.2, 0.3, -0.2]))
    set_simulator(other, state)
    moving = [*range(6, 12), 17, 18]  # velocities, the fingers and what they touch
    kept = np.setdiff1d(np.arange(len(state)), moving + ([31, 35, 37, 39] if len(state) > 28 else []))
    assert_allclose(other.compute_observation()[kept], state[kept], atol=5e-3)


@pytest.mark.parametrize("env_id", ["genrl/scene-v0", "genrl/pointmaze-medium-v0"])
def test_the_data_do_not_depend_on_the_environments_side_by_side(env_id, scene_oracle):
    policy = scene_oracle if "scene" in env_id else navigate(make_env(env_id))
    one, two = (collect(env_id, policy, 2, 3, num_envs=count, max_steps=30, env_options=FREE) for count in (1, 2))
    assert torch.equal(one.actions[""], two.actions[""])
    assert torch.equal(one.observations["observation"], two.observations["observation"])


def test_scenes_that_lose_their_cube_are_thrown_away(scene_oracle):
    played = collect("genrl/scene-v0", scene_oracle, 3, 0, num_envs=1, max_steps=5, env_options=FREE)
    assert cube_in_sight(played).all()
    states = played.observations["observation"].clone()
    states[7, 20] = 2.95  # episode 1: too far right
    states[13, 20:22] = torch.tensor([-3.1, 0.7])  # episode 2: in the drawer
    lost = replace(played, observations=played.observations | {"observation": states})
    assert cube_in_sight(lost).tolist() == [True, False, True]


def test_crossings_are_the_cells_that_are_not_in_hallways(maze):
    free = set(maze.free)
    ways = {
        (row, column): [(d, e) for d, e in [(1, 0), (-1, 0), (0, 1), (0, -1)] if (row + d, column + e) in free]
        for row, column in free
    }
    straight = {cell for cell, around in ways.items() if len(around) == 2 and np.abs(np.sum(around, 0)).sum() == 0}
    assert set(maze.crossings) == free - straight


def test_navigation_goes_from_crossing_to_crossing(maze):
    played = play("pointmaze-medium-navigate", 3000, seed=1)
    assert played.lengths.tolist() == [1000] * 3
    places = played.observations["observation"].double().numpy()
    assert set(map(maze.cell, places)) == set(maze.free)
    actions = played.actions[""].double()
    assert actions.std(0).min() > 0.5  # a direction of length 1, and noise of 0.5
    assert 0.05 < (actions.abs() == 1).double().mean() < 0.6


def test_stitching_ends_four_cells_from_the_start(maze):
    played = play("pointmaze-medium-stitch", 4000, seed=1)
    assert played.lengths.tolist() == [200] * 20
    distance = lengths_of_paths(maze.free)
    ends = [[maze.free.index(maze.cell(e.observations["observation"][at].numpy())) for at in (0, -1)] for e in played]
    gone = [distance[start, end] for start, end in ends]
    assert np.mean(np.array(gone) == 4) > 0.8  # the rest were pushed over a border by the noise at the end


def test_play_by_teleporter_jumps_to_the_ways_out():
    played = play("pointmaze-teleport-navigate", 3000, seed=3)
    theirs = simulator("pointmaze-teleport-v0")
    places = played.observations["observation"].double().numpy()
    moved = np.linalg.norm(np.diff(places, axis=0), axis=1)
    within = played.observation_rows.numpy()  # rows at which a transition begins
    jumps = [row for row in within if moved[row] > 2]
    assert len(jumps) >= 2  # few: one way out is a cell without another
    for row in jumps:
        assert np.linalg.norm(theirs._teleport_info["teleport_in_xys"] - places[row], axis=1).min() <= 1.5 + 1e-3
        assert np.linalg.norm(theirs._teleport_info["teleport_out_xys"] - places[row + 1], axis=1).min() < 0.5
    again = play("pointmaze-teleport-navigate", 1000, seed=3)
    assert torch.equal(again.observations["observation"], played.observations["observation"][:1001])


def test_oracles_have_names():
    env = make_env("genrl/pointmaze-medium-v0")
    assert make_policy("stitch", env, {"noise": 0.1}).following is None
    assert make_policy("navigate", env).following is not None
    assert isinstance(make_policy("plan", make_env("genrl/cube-single-v0")), PlanOracle)


def test_what_cannot_be_played_is_refused(maze):
    with pytest.raises(ConfigurationError, match="There is no recipe 'cube-play'"):
        play("cube-play")
    with pytest.raises(UnsupportedSpaceError, match="not for cube-double-v0"):
        PlanOracle("cube-double-v0")
    for make in (navigate, stitch, PlanOracle.for_env):
        with pytest.raises(UnsupportedSpaceError, match="drives genrl/"):
            make(gym.make("Pendulum-v1"))
    with pytest.raises(ConfigurationError, match="standard deviation"):
        navigate(make_env("genrl/pointmaze-medium-v0"), noise=-1.0)
    policy = navigate(make_env("genrl/pointmaze-medium-v0"))
    policy.reset(np.ones(1, bool), np.zeros(1, np.int64))
    with pytest.raises(ConditionError):
        policy.act({"observation": np.zeros((1, 2))}, Conditions(goal=torch.zeros(1, 2)))
