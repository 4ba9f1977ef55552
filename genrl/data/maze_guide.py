"""Whoever knows the way through an OGBench maze: noisy steps to the goal that is asked for, by teleport or on foot."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError
from genrl.data.maze_oracle import Cell, Maze, around, maze_of, noisy_steps


class MazeGuide:
    """Goes to the desired goal by a shortest path, from cell to cell, with noise on every action.

    Args:
        maze: where.
        avoided: cells that no path leads through. Without the ``teleports`` of ``pointmaze-teleport-v0`` the way is
            longer and sure; through one of them it ends in a cell without a way out a third of the time.
        noise: standard deviation of the Gaussian noise on the actions, whose direction has length 1.

    Raises:
        ConfigurationError: the noise is negative.
    """

    def __init__(self, maze: Maze, avoided: frozenset[Cell] = frozenset(), noise: float = 0.5) -> None:
        if noise < 0:
            raise ConfigurationError(f"The noise of a MazeGuide is a standard deviation, so not {noise}.")
        self.maze, self.avoided, self.noise = maze, avoided, noise
        self._generators = EpisodeGenerators()
        self._steps_to = cache(partial(maze.steps_from, avoided=avoided))

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New noise where an episode begins."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 2) float32 steps in [-1, 1].

        Raises:
            ConditionError: there are conditions; the goal is that of the observations.
        """
        positions = np.asarray(observations["observation"], np.float64)
        if conditions is not None:
            conditions.require("MazeGuide", set(), batch=len(positions))
        goals = np.asarray(observations["desired_goal"], np.float64)
        aims = np.array([self._aim(*pair) for pair in zip(positions, goals, strict=True)])
        return noisy_steps(aims - positions, self.noise, self._generators, deterministic)

    def _aim(self, position: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """(2,) the centre of the next cell, in its own cell the goal itself; without a way, one's own centre."""
        here, there = self.maze.cell(position), self.maze.cell(goal)
        if here == there:
            return goal
        left = self._steps_to(there)
        ways = [cell for cell in around(*here) if cell in left]
        return np.array(self.maze.centre(min(ways, key=left.__getitem__) if ways else here))


def guide(env: gym.Env, through_teleports: bool = True, noise: float = 0.5) -> MazeGuide:
    """A guide through the maze of ``env``, over its teleports where the way is shorter, or never.

    Raises:
        UnsupportedSpaceError: this is no maze of OGBench's.
        ConfigurationError: the noise is negative.
    """
    maze = maze_of(env, "MazeGuide")
    return MazeGuide(maze, frozenset() if through_teleports else maze.teleports, noise)
