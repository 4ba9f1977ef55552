"""A controller for the PointMaze family: shortest path through the maze's cells, then feedback on the velocity.

The task and its demonstrations go back to D4RL's maze2d (Fu et al. 2020, arXiv:2004.07219); this controller is a
function of the current observation alone, so that a memoryless learner can represent it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConditionError, ConfigurationError, UnsupportedSpaceError

WALL = 1
NO_PATH = -1


class Grid:
    """The cells of a maze and the shortest paths between them.

    Cells are numbered row by row; ``towards[goal, cell]`` is the next cell on a shortest path from ``cell`` to
    ``goal`` (the goal itself once there), or ``NO_PATH``.
    """

    def __init__(self, maze_map: Sequence[Sequence[int | str]], scaling: float = 1.0) -> None:
        self.free = np.array([[cell != WALL for cell in row] for row in maze_map])
        self.scaling = scaling
        self.rows, self.columns = self.free.shape
        self.towards = np.stack([self._search(goal) for goal in range(self.free.size)])

    def _search(self, goal: int) -> np.ndarray:
        """Breadth-first search from ``goal``: (cells,) the next cell towards it from every cell."""
        following = np.full(self.free.size, NO_PATH)
        if not self.free.flat[goal]:
            return following
        following[goal] = goal
        frontier = deque([goal])
        while frontier:
            cell = frontier.popleft()
            for neighbour in self._neighbours(cell):
                if following[neighbour] == NO_PATH:
                    following[neighbour] = cell
                    frontier.append(neighbour)
        return following

    def _neighbours(self, cell: int) -> list[int]:
        row, column = divmod(cell, self.columns)
        around = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
        inside = [(r, c) for r, c in around if 0 <= r < self.rows and 0 <= c < self.columns and self.free[r, c]]
        return [r * self.columns + c for r, c in inside]

    def cell(self, positions: np.ndarray) -> np.ndarray:
        """(B,) cell that holds each of the positions (B, 2); outside the map, the nearest cell of its rim."""
        column = np.floor(positions[:, 0] / self.scaling + self.columns / 2).astype(int)
        row = np.floor(self.rows / 2 - positions[:, 1] / self.scaling).astype(int)
        return np.clip(row, 0, self.rows - 1) * self.columns + np.clip(column, 0, self.columns - 1)

    def centre(self, cells: np.ndarray) -> np.ndarray:
        """(B, 2) position of the centre of each cell."""
        row, column = np.divmod(cells, self.columns)
        x = (column + 0.5 - self.columns / 2) * self.scaling
        y = (self.rows / 2 - row - 0.5) * self.scaling
        return np.stack([x, y], axis=-1)


class WaypointPolicy:
    """Steers a point mass from cell centre to cell centre to the desired goal, and rests there.

    With target p* (the centre of the next cell, or the goal in its own cell), the wanted velocity is
    v* = approach (p* - p), no faster than ``speed``, and the action is damping (v* - v), clipped to [-1, 1]: a
    proportional-derivative controller with bounded speed.

    Args:
        grid: cells of the maze.
        noise: standard deviation of Gaussian noise on the actions, drawn from each episode's own seed.
        speed: fastest wanted speed, in units of length per second.
        approach: wanted speed per distance to the target, 1 / s.
        damping: action per velocity error, s / unit of length.
    """

    def __init__(
        self, grid: Grid, noise: float = 0.0, speed: float = 3.0, approach: float = 6.0, damping: float = 0.5
    ) -> None:
        if noise < 0:
            raise ConfigurationError(f"The noise of a WaypointPolicy is a standard deviation, so not {noise}.")
        self.grid = grid
        self.noise, self.speed, self.approach, self.damping = noise, speed, approach, damping
        self._generators = EpisodeGenerators()

    @classmethod
    def for_env(cls, env: gym.Env, **settings: float) -> "WaypointPolicy":
        """The controller for the maze of ``env``, an environment of the PointMaze family.

        Raises:
            UnsupportedSpaceError: ``env`` has no maze, or its observations and actions are not a point mass's.
        """
        maze = getattr(env.unwrapped, "maze", None)
        spaces = getattr(env.observation_space, "spaces", {})
        if maze is None or "observation" not in spaces or spaces["observation"].shape != (4,):
            raise UnsupportedSpaceError(
                "WaypointPolicy drives the PointMaze family of gymnasium_robotics (a maze and an 'observation' of "
                f"position and velocity), not {env}."
            )
        return cls(Grid(maze.maze_map, maze.maze_size_scaling), **settings)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New noise where an episode begins; there is no other state."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 2) float32 actions towards ``conditions.goal`` where given, else towards the desired goal.

        Raises:
            ConditionError: a goal or a position lies in a wall, or no path joins them.
        """
        if conditions is not None:
            conditions.require("WaypointPolicy", {"goal"}, batch=len(observations["observation"]))
        position, velocity = observations["observation"][:, :2], observations["observation"][:, 2:]
        goal = observations["desired_goal"]
        if conditions is not None and conditions.goal is not None:
            goal = conditions.goal.cpu().double().numpy()
        wanted = self.approach * (self._target(position, goal) - position)
        fastest = np.linalg.norm(wanted, axis=-1, keepdims=True)
        wanted *= self.speed / np.maximum(fastest, self.speed)
        action = self.damping * (wanted - velocity)
        if self.noise and not deterministic:
            action += self.noise * self._generators.draw(len(action), lambda generator: generator.standard_normal(2))
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _target(self, position: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """(B, 2) where to go next."""
        here, there = self.grid.cell(position), self.grid.cell(goal)
        following = self.grid.towards[there, here]
        if (following == NO_PATH).any():
            stuck = int(np.argmax(following == NO_PATH))
            raise ConditionError(
                f"No path leads from {position[stuck]} to the goal {goal[stuck]} in this maze; "
                "check that the goal is not in a wall and that the policy was made for this maze."
            )
        return np.where((here == there)[:, None], goal, self.grid.centre(following))
