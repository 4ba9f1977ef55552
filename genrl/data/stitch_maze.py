"""A maze whose shortest way no trajectory of the data takes: the stitching task of MBRCSL.

Source: "Free from Bellman Completeness: Trajectory Stitching via Model-based Return-conditioned Supervised Learning"
(Zhou et al. 2023), https://arxiv.org/abs/2310.19308, section 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.environments import make_env

MAP = ((1, 1, 1, 1, 1, 1), (1, 0, 0, 1, 1, 1), (1, 0, 0, 0, 0, 1), (1, 1, 1, 1, 1, 1))
"""Rows of cells from the top; 1 is a wall."""

START, CROSSING, GOAL = (1, 2), (2, 2), (2, 4)
"""(row, column) where episodes begin, of the corner between, and where the goal is."""

JITTER = 0.25
"""Start and goal lie evenly in a square of twice this side about the centre of their cells, one unit wide."""

STEPS = 200
"""Every episode is so long."""

ENV_ID = "genrl/pointmaze-stitch-v0"


class StitchMaze(gym.Env):
    """PointMaze of Gymnasium-Robotics from a start to a goal that is rewarded and not seen.

    Observations (4,) are float64 place and velocity, x, y, vx, vy; actions (2,) are forces in [-1, 1]. The reward is
    exp(-distance to the goal), whose place is drawn anew in every episode and told by ``info["goal"]`` (2,) alone. An
    episode goes on when the goal is reached, as the published returns count it: the paper's environment says that it
    has terminated there, and is stepped further.

    Args:
        maze_map: rows of cells from the top, 1 is a wall; another maze must leave ``START`` and ``GOAL`` free.
        hide_goal: observe place and velocity alone; else a goal dictionary, as Gymnasium-Robotics has it.
        render_mode: ``rgb_array`` or None.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        maze_map: Sequence[Sequence[int]] = MAP,
        hide_goal: bool = True,
        render_mode: str | None = None,
    ) -> None:
        self.hide_goal, self.render_mode = hide_goal, render_mode
        endless = {"continuing_task": True, "reset_target": False}
        settings = {"maze_map": [*map(list, maze_map)], "render_mode": render_mode} | endless
        self.ball: Any = make_env("PointMaze_UMazeDense-v3", settings).unwrapped
        self.maze = self.ball.maze  # type: ignore[attr-defined]
        self.action_space = self.ball.action_space
        seen: Any = self.ball.observation_space
        self.observation_space = seen["observation"] if hide_goal else seen

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode at rest near ``START``."""
        super().reset(seed=seed)
        observation, info = self.ball.reset(seed=seed, options={"reset_cell": START, "goal_cell": GOAL})
        return self._seen(observation), self._told(info)

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One control step of the ball."""
        observation, reward, _, _, info = self.ball.step(action)
        return self._seen(observation), float(reward), False, False, self._told(info)

    def render(self) -> np.ndarray:
        """(height, width, 3) uint8 picture."""
        return self.ball.render()

    def close(self) -> None:
        """Release the simulator."""
        self.ball.close()

    def _seen(self, observation: dict[str, np.ndarray]) -> Any:
        return observation["observation"] if self.hide_goal else observation

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return {"success": info["success"], "goal": self.ball.goal.copy()}


gym.register(ENV_ID, "genrl.data.stitch_maze:StitchMaze", max_episode_steps=STEPS, kwargs={"maze_map": MAP})
