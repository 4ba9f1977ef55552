"""OGBench's state-based tasks as goal environments in the form of Gymnasium-Robotics.

Source: "OGBench: Benchmarking Offline Goal-Conditioned RL" (Park et al. 2024), https://arxiv.org/abs/2410.20092.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

from genrl.data.errors import ConfigurationError
from genrl.data.extras import optional

TASKS = 5
"""Every environment has five official evaluation tasks, numbered from 1."""

STEPS = {"cube-single-v0": 200, "scene-v0": 750, "pointmaze-medium-v0": 1000, "pointmaze-teleport-v0": 1000}
"""OGBench's environments that are registered here as ``genrl/...``, and the longest evaluation episode of each."""


class OGBenchGoals(gym.Env):
    """An environment of OGBench whose observation holds the state, and the state asked for.

    ``reset(options={"task_id": k})`` begins official task k, 1 to 5; without it the task is drawn. Unlike in OGBench
    itself, the seed of a reset decides everything about it. ``info["success"]`` is OGBench's own; success ends the
    episode with reward 1.

    Args:
        env_id: OGBench's id of a state-based environment.
        free_play: episodes begin anywhere, have no task (the goal is the start, the reward 0) and do not end by
            themselves: what OGBench collects its data in.
        render_mode: ``rgb_array`` or None.

    Raises:
        ConfigurationError: the package ogbench is not installed, or it has no such environment.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, env_id: str, free_play: bool = False, render_mode: str | None = None) -> None:
        self.env_id, self.free_play, self.render_mode = env_id, free_play, render_mode
        self.simulator = simulator(env_id, free_play)
        with lent_randomness(np.random.default_rng(0)):
            state, _ = self.simulator.reset(seed=0)  # some environments declare another shape than they observe
        box = gym.spaces.Box(-np.inf, np.inf, state.shape, np.float32)
        self.observation_space = gym.spaces.Dict({"observation": box, "achieved_goal": box, "desired_goal": box})
        self.action_space = gym.spaces.Box(-1.0, 1.0, self.simulator.action_space.shape, np.float32)
        self._goal = np.zeros(state.shape, np.float32)
        self._teleports = getattr(self.simulator, "_teleport_info", None) is not None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        """Begin an episode; ``options`` may hold a ``task_id``.

        Raises:
            ConfigurationError: there is no task of that number.
        """
        super().reset(seed=seed)
        task = (options or {}).get("task_id")
        if task is not None and not 1 <= task <= TASKS:
            raise ConfigurationError(f"{self.env_id} has the tasks 1 to {TASKS}, not {task}.")
        own = int(self.np_random.integers(2**31))
        with lent_randomness(self.np_random):
            self.simulator.action_space.seed(own)  # a reset takes random actions to settle the goal
            state, info = self.simulator.reset(seed=own, options=self._anywhere() if self.free_play else options)
        self._goal = np.asarray(info.get("goal", state), np.float32)
        return self._observe(state), {}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One control step."""
        with lent_randomness(self.np_random) if self._teleports else nullcontext():
            state, reward, terminated, truncated, info = self.simulator.step(action)
        if self.free_play:
            return self._observe(state), 0.0, False, False, {}
        return self._observe(state), float(reward), terminated, truncated, {"success": bool(info["success"])}

    def render(self) -> np.ndarray:
        """(height, width, 3) uint8 picture."""
        return self.simulator.render()

    def close(self) -> None:
        """Release the simulator."""
        self.simulator.close()

    def _observe(self, state: np.ndarray) -> dict[str, np.ndarray]:
        state = state.astype(np.float32)
        return {"observation": state, "achieved_goal": state.copy(), "desired_goal": self._goal.copy()}

    def _anywhere(self) -> dict[str, Any]:
        """Reset options of free play: in a maze, a start in any cell; a table is scattered by the simulator itself."""
        if not hasattr(self.simulator, "maze_map"):
            return {}
        free = np.argwhere(self.simulator.maze_map == 0)
        cell = tuple(free[self.np_random.integers(len(free))])
        return {"task_info": {"init_ij": cell, "goal_ij": cell}}


def simulator(env_id: str, free_play: bool = False) -> Any:
    """OGBench's own environment, with an action space that can be seeded.

    Raises:
        ConfigurationError: the package ogbench is not installed, or it has no such environment.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a missing display, and of the precision of its action spaces
        made = _made(env_id, free_play)
        made.action_space  # noqa: B018
    return made


def _made(env_id: str, free_play: bool) -> Any:
    optional("ogbench")
    try:
        spec = gym.spec(env_id)
    except gym.error.Error as error:
        raise ConfigurationError(f"OGBench has no environment '{env_id}': {error}") from error
    kwargs = dict(spec.kwargs)
    if free_play:
        kwargs |= {"terminate_at_goal": False} | ({} if "maze_type" in kwargs else {"mode": "data_collection"})
    maker = load_env_creator(str(spec.entry_point))
    return (_with_one_action_space(maker) if isinstance(maker, type) else maker)(**kwargs)


def _with_one_action_space(kind: Any) -> Any:
    """OGBench's manipulation environments make a new, unseeded action space whenever they are asked for it."""

    class Steady(kind):
        @cached_property
        def action_space(self) -> gym.Space:
            return super().action_space

    return Steady


@contextmanager
def lent_randomness(generator: np.random.Generator) -> Iterator[None]:
    """numpy's global generator, which OGBench draws from, seeded by ``generator`` and afterwards as it was before."""
    before = np.random.get_state()
    np.random.seed(int(generator.integers(2**32)))
    try:
        yield
    finally:
        np.random.set_state(before)


def official_task(episode: int, generator: np.random.Generator) -> dict[str, int]:
    """The five official tasks in turn: ``reset_options`` of ``genrl.evaluate``."""
    return {"task_id": episode % TASKS + 1}


for _id, _steps in STEPS.items():
    gym.register(
        f"genrl/{_id}", "genrl.data.ogbench_envs:OGBenchGoals", max_episode_steps=_steps, kwargs={"env_id": _id}
    )
