"""Guides against scipy's own search, and against OGBench's teleports."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from mazes import lengths_of_paths

from genrl.data.collect import collect
from genrl.data.conditions import Conditions
from genrl.data.environments import make_env
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError
from genrl.data.maze_guide import MazeGuide, guide
from genrl.data.maze_oracle import Maze
from genrl.evaluation.policies import make_policy

pytest.importorskip("ogbench")
MEDIUM, TELEPORT = "genrl/pointmaze-medium-v0", "genrl/pointmaze-teleport-v0"


def cells_on_the_way(maze, episode):
    """The cells of an episode one after another, each once for every time it is entered."""
    cells = [maze.cell(place) for place in episode.observations["observation"].double().numpy()]
    return [cell for index, cell in enumerate(cells) if index == 0 or cell != cells[index - 1]]


@pytest.mark.parametrize(("env_id", "through"), [(MEDIUM, True), (TELEPORT, False)])
def test_without_noise_it_takes_a_shortest_path_to_the_goal(env_id, through):
    policy = guide(make_env(env_id), through, noise=0.0)
    free = [cell for cell in policy.maze.free if cell not in policy.avoided]
    steps = lengths_of_paths(free)
    played = collect(env_id, policy, 8, 0, num_envs=4)
    assert played.returns.tolist() == [1.0] * 8
    for episode in played:
        way = cells_on_the_way(policy.maze, episode)
        goal = policy.maze.cell(episode.observations["desired_goal"][0].numpy())
        assert len(way) - 1 <= steps[free.index(way[0]), free.index(goal)]  # it ends as soon as the goal is near
        assert len(way) >= steps[free.index(way[0]), free.index(goal)]


def test_only_who_avoids_teleports_is_never_moved_by_one():
    env = make_env(TELEPORT)
    assert guide(env).avoided == frozenset()
    assert guide(env, through_teleports=False).avoided == {(4, 6), (5, 1)} == Maze("pointmaze-teleport-v0").teleports
    for through in (True, False):
        played = collect(TELEPORT, guide(env, through), 12, 3, num_envs=4, max_steps=100)
        places = played.observations["observation"].double().numpy()
        moved = np.linalg.norm(np.diff(places, axis=0), axis=1)[played.observation_rows.numpy()]
        assert (moved.max() > 2) == through


def test_where_there_is_no_way_it_stays():
    policy = guide(make_env(TELEPORT), noise=0.0)
    policy.reset(np.ones(1, bool), np.zeros(1, np.int64))
    centre = np.array(policy.maze.centre((1, 7)))  # closed on all sides
    here = {"observation": centre[None] + 0.3, "desired_goal": np.zeros((1, 2))}
    np.testing.assert_allclose(policy.act(here), [[-np.sqrt(0.5)] * 2], rtol=1e-4)


def test_the_data_do_not_depend_on_the_environments_side_by_side():
    policy = guide(make_env(TELEPORT))
    one, three = (collect(TELEPORT, policy, 3, 0, num_envs=n, max_steps=30) for n in (1, 3))
    assert torch.equal(one.actions[""], three.actions[""])


def test_it_has_a_name_and_refuses_what_it_cannot_do():
    env = make_env(TELEPORT)
    assert isinstance(make_policy("guide", env, {"through_teleports": False}), MazeGuide)
    with pytest.raises(ConfigurationError, match="standard deviation"):
        guide(env, noise=-0.1)
    with pytest.raises(UnsupportedSpaceError, match="genrl/pointmaze-teleport-v0 and its like"):
        guide(gym.make("Pendulum-v1"))
    policy = guide(env)
    policy.reset(np.ones(1, bool), np.zeros(1, np.int64))
    with pytest.raises(ConditionError):
        policy.act({"observation": np.zeros((1, 2))}, Conditions(goal=torch.zeros(1, 2)))
