"""Environments whose observations tell their whole state: how to put them there, and which states they never have.

The environment's own code steps, rewards and terminates, so a transition that really happened comes back to float
precision. The constraint solver starts from zero accelerations in a state that is put: what comes out of the first step
depends on the state and the action alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import mujoco
import numpy as np

from genrl.data.errors import UnsupportedSpaceError
from genrl.data.stitch_maze import GOAL, JITTER


class Body(Protocol):
    """What one family of environments knows of its states: rows of S float64 numbers, an observation without its goal.

    Attributes:
        angles: (S,) bool, which columns of the state are angles in radians.
        mujoco: the simulation, an ``mjData``.
    """

    angles: np.ndarray

    @property
    def mujoco(self) -> Any:
        """The simulation."""

    def faults(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Why no episode goes on from some of ``states`` (B, S): reason -> (B,) bool."""

    def hidden(self, states: np.ndarray) -> np.ndarray:
        """(B,) bool: the observation does not tell what happens next, so the state cannot be restored."""

    def put(self, state: np.ndarray) -> None:
        """Be in a state (S,)."""

    def advance(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Next state (S,), reward and termination by an action (A,) towards a goal (G,), which may be empty."""


def never(env: Any) -> bool:
    """No state ends an episode."""
    return False


def unhealthy(env: Any) -> bool:
    """The state that ``env`` is in has ended its episode, as Hopper and Walker2d see it."""
    return env._terminate_when_unhealthy and not env.is_healthy


def tilted(env: Any) -> bool:
    """The state that ``env`` is in has ended its episode, as InvertedPendulum sees it."""
    return bool(abs(env.data.qpos[1]) > 0.2)


class Locomotion:
    """Observations of positions, without the first ones where the environment leaves them out, and of velocities.

    Args:
        env: one of Gymnasium's MuJoCo environments, unwrapped.
        clip: its observations hold velocities clipped to this; one at the limit may have been any above it.
        over: whether the state that the environment is in has ended its episode.
    """

    def __init__(self, env: Any, clip: float = np.inf, over: Callable[[Any], bool] = never) -> None:
        self.env, self.clip, self.over = env, clip, over
        model = env.model
        self.left_out = model.nq + model.nv - env.observation_space.shape[0]
        self.positions = model.nq - self.left_out
        hinges = model.jnt_qposadr[model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE] - self.left_out
        self.angles = np.isin(np.arange(model.nq + model.nv - self.left_out), hinges)
        if model.na or model.nq != model.nv:
            raise UnsupportedSpaceError(
                "This model has quaternions or actuators with a state of their own; only bodies of slides and hinges "
                "under plain motors are told whole by positions and velocities."
            )

    @property
    def mujoco(self) -> Any:
        """The simulation."""
        return self.env.data

    def faults(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Beyond the clip of velocities, or the end of an episode."""
        beyond = (np.abs(states[:, self.positions :]) > self.clip).any(1)
        ended = np.array([*map(self._ended, states)], dtype=bool)
        return {"velocity beyond its clip": beyond, "after the episode's end": ended}

    def hidden(self, states: np.ndarray) -> np.ndarray:
        """A velocity was clipped."""
        return (np.abs(states[:, self.positions :]) == self.clip).any(1)

    def put(self, state: np.ndarray) -> None:
        """By positions and velocities; what observations leave out is zero."""
        data = self.env.data
        data.qpos[: self.left_out] = 0
        data.qpos[self.left_out :] = state[: self.positions]
        data.qvel[:] = state[self.positions :]
        data.qacc_warmstart[:] = 0

    def advance(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """The environment's own step."""
        observation, reward, terminated, _, _ = self.env.step(action)
        return observation, float(reward), bool(terminated)

    def _ended(self, state: np.ndarray) -> bool:
        self.put(state)
        return self.over(self.env)


class PointMaze:
    """Gymnasium-Robotics' ball in a maze: its state is place and velocity, the goal is told apart."""

    def __init__(self, env: Any) -> None:
        self.env, self.ball = env, env.point_env
        self.walls = np.array([[cell == 1 for cell in row] for row in env.maze.maze_map])
        self.angles = np.zeros(4, bool)

    @property
    def mujoco(self) -> Any:
        """The simulation."""
        return self.ball.data

    def faults(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """The ball's centre inside a wall or outside the maze."""
        maze, (rows, columns) = self.env.maze, self.walls.shape
        row = np.floor((maze.y_map_center - states[:, 1]) / maze.maze_size_scaling)
        column = np.floor((states[:, 0] + maze.x_map_center) / maze.maze_size_scaling)
        outside = (row < 0) | (row >= rows) | (column < 0) | (column >= columns)
        walled = self.walls[np.where(outside, 0, row).astype(int), np.where(outside, 0, column).astype(int)]
        return {"inside a wall": outside | walled}

    def hidden(self, states: np.ndarray) -> np.ndarray:
        """Nothing is."""
        return np.zeros(len(states), bool)

    def put(self, state: np.ndarray) -> None:
        """The ball at a place with a velocity."""
        data = self.mujoco
        data.qpos[:], data.qvel[:] = state[:2], state[2:]
        data.qacc_warmstart[:] = 0

    def advance(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """The ball's own step, and the maze's reward and termination."""
        after = self.ball.step(action)[0]
        terminated = self.env.compute_terminated(after[:2], goal, {})
        return after, float(self.env.compute_reward(after[:2], goal, {})), bool(terminated)


class StitchMaze(PointMaze):
    """genrl's maze. Where its goal is not observed, the reward is the mean over the places where it may be."""

    def __init__(self, env: Any) -> None:
        super().__init__(env.ball)
        middle = env.maze.cell_rowcol_to_xy(np.array(GOAL))
        across = (np.arange(MESH) + 0.5) / MESH * 2 * JITTER - JITTER
        self.goals = middle + np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)

    def advance(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """The ball's own step, and the reward to be expected."""
        after = self.ball.step(action)[0]
        rewards = self.env.compute_reward(after[:2], goal if len(goal) else self.goals, {})
        return after, float(np.mean(rewards)), False


MESH = 16
"""Places of a hidden goal along each side of the square that holds it."""

GYMNASIUM, ROBOTICS = "gymnasium.envs.mujoco.", "gymnasium_robotics."
BODIES: Mapping[str, tuple[str, Callable[[Any], Body]]] = {
    "HalfCheetahEnv": (GYMNASIUM, Locomotion),
    "HopperEnv": (GYMNASIUM, partial(Locomotion, clip=10.0, over=unhealthy)),
    "InvertedPendulumEnv": (GYMNASIUM, partial(Locomotion, over=tilted)),
    "PointMazeEnv": (ROBOTICS, PointMaze),
    "StitchMaze": ("genrl.data.", StitchMaze),
    "SwimmerEnv": (GYMNASIUM, Locomotion),
    "Walker2dEnv": (GYMNASIUM, partial(Locomotion, clip=10.0, over=unhealthy)),
}
"""Class of an environment -> the package that it belongs to, and what restores it."""


def body_of(env: Any) -> Body:
    """What restores ``env``, an unwrapped environment.

    Raises:
        UnsupportedSpaceError: nothing does.
    """
    name = type(env).__name__
    require_body(f"{type(env).__module__}:{name}")
    return BODIES[name][1](env)


def require_body(entry_point: str) -> None:
    """Raise an UnsupportedSpaceError unless ``BODIES`` has the class at ``entry_point``, ``package.module:Class``."""
    module, _, name = entry_point.partition(":")
    if name not in BODIES or not module.startswith(BODIES[name][0]):
        known = ", ".join(name.removesuffix("Env") for name in BODIES)
        raise UnsupportedSpaceError(
            f"The states of {entry_point} cannot be restored from its observations; {known} can, in Gymnasium's "
            "versions 4 and 5 and in Gymnasium-Robotics."
        )
