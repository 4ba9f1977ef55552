import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest
import torch
from mazes import lengths_of_paths

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.waypoint import NO_PATH, Grid, WaypointPolicy

gym.register_envs(gymnasium_robotics)


@pytest.fixture(scope="module")
def umaze():
    env = make_env("PointMaze_UMaze-v3")
    yield env
    env.close()


@pytest.mark.parametrize("size", ["UMaze", "Medium", "Large"])
def test_paths_are_shortest_paths(size):
    maze = make_env(f"PointMaze_{size}-v3").unwrapped.maze
    grid = Grid(maze.maze_map, maze.maze_size_scaling)
    cells = [(r, c) for r in range(grid.rows) for c in range(grid.columns) if maze.maze_map[r][c] != 1]
    distance = lengths_of_paths(cells)
    for i, (r, c) in enumerate(cells):
        for j, (s, d) in enumerate(cells):
            cell, goal, steps = r * grid.columns + c, s * grid.columns + d, 0
            while cell != goal:
                cell, steps = grid.towards[goal, cell], steps + 1
            assert steps == distance[i, j]


def test_cells_agree_with_the_environment():
    maze = make_env("PointMaze_Large-v3").unwrapped.maze
    grid = Grid(maze.maze_map, maze.maze_size_scaling)
    positions = np.random.default_rng(0).uniform([-5.9, -4.4], [5.9, 4.4], (500, 2))
    theirs = np.array([maze.cell_xy_to_rowcol(p) for p in positions])
    cells = grid.cell(positions)
    np.testing.assert_array_equal(cells, theirs[:, 0] * grid.columns + theirs[:, 1])
    np.testing.assert_allclose(grid.centre(cells), np.array([maze.cell_rowcol_to_xy(p) for p in theirs]))


def test_a_wall_divides():
    grid = Grid([[0, 1, 0]])
    assert grid.towards[2, 0] == NO_PATH
    assert grid.towards[0, 0] == 0


@pytest.mark.parametrize(
    ("size", "episodes", "noise"),
    [("UMaze", 200, 0.0), ("UMaze", 100, 0.5), ("Medium", 40, 0.2), ("Large", 40, 0.2)],
)
def test_goals_are_reached_and_held(size, episodes, noise):
    env_id = f"PointMaze_{size}-v3"
    policy = WaypointPolicy.for_env(make_env(env_id), noise=noise)
    data = collect(env_id, policy, episodes, seed=7)
    success = data.infos["success"].view(episodes, -1)
    assert success.any(1).double().mean() >= 0.98
    assert success[:, -1].double().mean() >= 0.98


def test_motion_is_smooth(umaze):
    data = collect("PointMaze_UMaze-v3", WaypointPolicy.for_env(umaze), 20, seed=3)
    actions = data.actions[""].view(20, -1, 2)
    assert (actions[:, 1:] - actions[:, :-1]).norm(dim=-1).mean() < 0.05
    speed = data.observations["observation"][:, 2:].norm(dim=-1)
    assert 2.5 < speed.max() < 3.5


def test_noise_belongs_to_the_episode(umaze):
    policy = WaypointPolicy.for_env(umaze, noise=0.3)
    observation = {"observation": np.array([[1.0, 1.0, 0, 0]] * 2), "desired_goal": np.full((2, 2), 1.0)}
    policy.reset(np.array([True, True]), np.array([5, 6]))
    first, second = policy.act(observation), policy.act(observation)
    assert not np.array_equal(first[0], first[1])
    policy.reset(np.array([False, True]), np.array([0, 5]))
    again = policy.act(observation)
    np.testing.assert_array_equal(again[1], first[0])
    assert not np.array_equal(again[0], second[0])
    np.testing.assert_array_equal(policy.act(observation, deterministic=True), np.zeros((2, 2)))


def test_a_goal_asked_for_replaces_the_desired_goal(umaze):
    goal = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    conditions = Conditions(goal=goal)
    data = collect("PointMaze_UMaze-v3", WaypointPolicy.for_env(umaze), 2, seed=0, conditions=conditions)
    ends = data.observations["achieved_goal"].view(2, -1, 2)[:, -1]
    assert (ends - goal).norm(dim=-1).max() < 0.05


def test_bad_input_is_named(umaze):
    policy = WaypointPolicy.for_env(umaze)
    policy.reset(np.array([True]), np.array([0]))
    observation = {"observation": np.array([[1.0, 1.0, 0, 0]]), "desired_goal": np.array([[0.0, 0.0]])}
    with pytest.raises(ConditionError, match="No path leads"):
        policy.act(observation)
    with pytest.raises(ConditionError, match="'returns'"):
        policy.act(observation, Conditions(returns=torch.ones(1)))
    with pytest.raises(ConfigurationError, match="noise"):
        WaypointPolicy.for_env(umaze, noise=-1.0)
    with pytest.raises(UnsupportedSpaceError, match="PointMaze"):
        WaypointPolicy.for_env(gym.make("Pendulum-v1"))
