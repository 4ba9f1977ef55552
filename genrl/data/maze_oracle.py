"""OGBench's navigator through a maze as a policy: noisy steps from cell to cell towards goals it draws itself.

Source: "OGBench" (Park et al. 2024), https://arxiv.org/abs/2410.20092: its pointmaze *navigate* and *stitch* data sets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.data.ogbench_envs import OGBenchGoals, simulator

Cell = tuple[int, int]
Draw = Callable[["Maze", Cell, np.random.Generator], Cell]
"""(maze, cell of the agent, generator) -> cell to go to."""


def around(row: int, column: int) -> list[Cell]:
    """The four cells beside one."""
    return [(row - 1, column), (row, column - 1), (row + 1, column), (row, column + 1)]


class Maze:
    """The cells of an OGBench maze; paths are OGBench's own."""

    def __init__(self, env_id: str) -> None:
        self._simulator = simulator(env_id)
        self.walls = np.asarray(self._simulator.maze_map) != 0
        self.reached_within: float = self._simulator._goal_tol
        self.cell = self._simulator.xy_to_ij
        self.centre = self._simulator.ij_to_xy
        self.free: list[Cell] = [(int(row), int(column)) for row, column in np.argwhere(~self.walls)]
        self.crossings = [cell for cell in self.free if not self._in_hallway(*cell)]
        inbound = (self._simulator._teleport_info or {}).get("teleport_in_ijs", ())
        self.teleports = frozenset((int(row), int(column)) for row, column in inbound)
        self.towards = cache(self._towards)

    def _in_hallway(self, row: int, column: int) -> bool:
        """Whether the cell has walls on two opposite sides and no others."""
        across = self.walls[row - 1, column], self.walls[row + 1, column]
        along = self.walls[row, column - 1], self.walls[row, column + 1]
        return (not any(across) and all(along)) or (all(across) and not any(along))

    def _towards(self, here: Cell, goal: Cell) -> np.ndarray:
        """(2,) centre of the next cell from ``here`` to ``goal``."""
        return self._simulator.get_oracle_subgoal(self.centre(here), self.centre(goal))[0]

    def steps_from(self, start: Cell, avoided: frozenset[Cell] = frozenset()) -> dict[Cell, int]:
        """The length of the shortest path, in cells, to every cell that can be reached without those ``avoided``."""
        steps, frontier = {start: 0}, [start]
        for row, column in frontier:  # grows while it is read: breadth first
            for cell in around(row, column):
                if not self.walls[cell] and cell not in avoided and cell not in steps:
                    steps[cell] = steps[row, column] + 1
                    frontier.append(cell)
        return steps

    def near(self, cell: Cell, generator: np.random.Generator) -> np.ndarray:
        """(2,) a place in the cell, as OGBench scatters starts and goals."""
        spread = self._simulator._noise * self._simulator._maze_unit / 4
        return np.array(self.centre(cell)) + generator.uniform(-spread, spread, 2)


def maze_of(env: gym.Env, policy: str) -> Maze:
    """The maze of ``env``, for a policy of this name.

    Raises:
        UnsupportedSpaceError: it is no maze of OGBench's.
    """
    inner = env.unwrapped
    if not isinstance(inner, OGBenchGoals) or not hasattr(inner.simulator, "get_oracle_subgoal"):
        raise UnsupportedSpaceError(f"{policy} drives genrl/pointmaze-teleport-v0 and its like, not {env}.")
    return Maze(inner.env_id)


def noisy_steps(away: np.ndarray, noise: float, generators: EpisodeGenerators, deterministic: bool) -> np.ndarray:
    """(B, 2) float32 steps in [-1, 1], of length 1 along ``away`` (B, 2) before the noise on them."""
    actions = away / (np.linalg.norm(away, axis=-1, keepdims=True) + 1e-6)
    if not deterministic:
        actions = actions + noise * generators.draw(len(away), lambda generator: generator.standard_normal(2))
    return np.clip(actions, -1, 1).astype(np.float32)


def any_crossing(maze: Maze, here: Cell, generator: np.random.Generator) -> Cell:
    """A cell that is not in a hallway."""
    return maze.crossings[generator.integers(len(maze.crossings))]


def four_cells_away(maze: Maze, here: Cell, generator: np.random.Generator) -> Cell:
    """A cell at the end of a shortest path of four steps; the agent's own where there is none."""
    there = [cell for cell, steps in maze.steps_from(here).items() if steps == 4] or [here]
    return there[generator.integers(len(there))]


class MazeOracle:
    """Goes straight to the centre of the next cell on the shortest path to its goal, with noise on every action.

    Args:
        maze: where.
        first: draws an episode's first goal.
        following: draws the next one whenever a goal is reached; None to stay there.
        noise: standard deviation of the Gaussian noise on the actions, whose direction has length 1.
    """

    def __init__(self, maze: Maze, first: Draw, following: Draw | None, noise: float = 0.5) -> None:
        if noise < 0:
            raise ConfigurationError(f"The noise of a MazeOracle is a standard deviation, so not {noise}.")
        self.maze, self.first, self.following, self.noise = maze, first, following, noise
        self._generators = EpisodeGenerators()
        self._goals: list[np.ndarray | None] = []

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New goals and noise where an episode begins."""
        self._generators.reset(mask, seeds)
        goals = self._goals if len(self._goals) == len(mask) else [None] * len(mask)
        self._goals = [None if begins else goal for begins, goal in zip(mask, goals, strict=True)]

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 2) float32 steps in [-1, 1].

        Raises:
            ConditionError: there are conditions; it goes where it likes.
        """
        positions = np.asarray(observations["observation"], np.float64)
        if conditions is not None:
            conditions.require("MazeOracle", set(), batch=len(positions))
        slots = iter(range(len(positions)))
        aims = self._generators.draw(len(positions), lambda generator: self._aim(next(slots), positions, generator))
        return noisy_steps(aims - positions, self.noise, self._generators, deterministic)

    def _aim(self, slot: int, positions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(2,) where to go next in one environment, after a new goal where one is due."""
        position, goal, here = positions[slot], self._goals[slot], self.maze.cell(positions[slot])
        reached = goal is not None and np.linalg.norm(position - goal) <= self.maze.reached_within
        draw = self.first if goal is None else self.following if reached else None
        if draw is not None:
            goal = self._goals[slot] = self.maze.near(draw(self.maze, here, generator), generator)
        return self.maze.towards(here, self.maze.cell(goal))


def _for_env(first: Draw, following: Draw | None, env: gym.Env, noise: float = 0.5) -> MazeOracle:
    return MazeOracle(maze_of(env, "MazeOracle"), first, following, noise)


navigate = partial(_for_env, any_crossing, any_crossing)
"""(environment, noise=0.5) -> OGBench's *navigate*: from one crossing to another."""

stitch = partial(_for_env, four_cells_away, None)
"""(environment, noise=0.5) -> OGBench's *stitch*: four cells on, and to stay there."""
