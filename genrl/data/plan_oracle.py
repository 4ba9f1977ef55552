"""OGBench's scripted arm as a policy: random targets, a noisy plan to each, one after the other.

Source: "OGBench" (Park et al. 2024), https://arxiv.org/abs/2410.20092: its *play* data sets, the oracles in the package
ogbench, and the noise of its published recipe.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError
from genrl.data.extras import optional
from genrl.data.ogbench_envs import OGBenchGoals, lent_randomness, simulator

CENTRE, LENGTH, GRIPPER = np.array([0.425, 0.0, 0.0]), 10.0, 3.0
BUTTON, DRAWER, WINDOW = 120.0, 18.0, 15.0
"""How OGBench shifts and scales what it observes."""

SUPPORTED = {"cube-single-v0": ("Cube",), "scene-v0": ("Cube", "Button", "Drawer", "Window")}
"""OGBench's environments with a single cube, and what the arm can be sent to in each."""


class PlanOracle:
    """Moves cubes, presses buttons, opens and shuts the drawer and the window, as OGBench's play data do.

    Wherever a plan ends, a new target is drawn as OGBench draws it and its oracle plans the way there. Targets and
    plans are made in a simulator of the policy's own that is set to what is observed, so that the actions depend on
    the observations and the seed of the episode alone.

    Args:
        env_id: OGBench's id of the environment.
        noise: scale of the smoothed noise on a plan.
        smoothing: width of the Gaussian filter over that noise, in steps.

    Raises:
        UnsupportedSpaceError: there are no oracles for that environment here.
        ConfigurationError: the noise is negative, or the package ogbench is not installed.
    """

    def __init__(self, env_id: str, noise: float = 0.1, smoothing: float = 0.5) -> None:
        if env_id not in SUPPORTED:
            raise UnsupportedSpaceError(f"There are oracles for {', '.join(SUPPORTED)}, not for {env_id}.")
        if noise < 0:
            raise ConfigurationError(f"The noise of a plan is a scale, so not {noise}.")
        self.noise, self.smoothing = noise, smoothing
        self._simulator = simulator(env_id, free_play=True)
        self._simulator.reset(seed=0)
        self._oracles = {
            name.lower(): getattr(optional(f"ogbench.manipspace.oracles.plan.{name.lower()}_plan"), f"{name}PlanOracle")
            for name in SUPPORTED[env_id]
        }
        self._slots: list[_Slot] = []

    @classmethod
    def for_env(cls, env: gym.Env, **settings: float) -> PlanOracle:
        """The oracle for ``env``, one of OGBench's tables with an arm.

        Raises:
            UnsupportedSpaceError: it is another environment.
        """
        inner = env.unwrapped
        if not isinstance(inner, OGBenchGoals):
            raise UnsupportedSpaceError(f"PlanOracle drives genrl/{' and genrl/'.join(SUPPORTED)}, not {env}.")
        return cls(inner.env_id, **settings)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Forget the plan where an episode begins."""
        self._slots = self._slots if len(self._slots) == len(mask) else [_Slot(0) for _ in mask]
        for slot in np.flatnonzero(mask):
            self._slots[slot] = _Slot(int(seeds[slot]))

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B, 5) float32 actions: changes of the hand's position, its yaw and its opening.

        Raises:
            ConditionError: there are conditions; it goes where it likes.
        """
        if conditions is not None:
            conditions.require("PlanOracle", set(), batch=len(self._slots))
        states = np.asarray(observations["observation"], np.float64)
        noise = 0.0 if deterministic else self.noise
        return np.stack([self._act(*each, noise) for each in zip(self._slots, states, strict=True)])

    def _act(self, slot: _Slot, state: np.ndarray, noise: float) -> np.ndarray:
        """(5,) one environment's action."""
        if slot.oracle is None or slot.oracle.done:
            slot.oracle = self._plan(slot, state, noise)
        hand = {
            "time": np.array([slot.time]),
            "proprio/effector_pos": state[12:15] / LENGTH + CENTRE,
            "proprio/effector_yaw": np.arctan2(state[16:17], state[15:16]),
            "proprio/gripper_opening": state[17:18] / GRIPPER,
        }
        slot.time += self._simulator.control_timestep()
        return np.clip(slot.oracle.select_action(None, hand), -1, 1).astype(np.float32)

    def _plan(self, slot: _Slot, state: np.ndarray, noise: float) -> Any:
        """A new target and the way there."""
        set_simulator(self._simulator, state, slot.time)
        self._simulator.np_random = slot.generator
        _, info = self._simulator.set_new_target()
        oracle = self._oracles[info["privileged/target_task"]](
            env=self._simulator, noise=noise, noise_smoothing=self.smoothing
        )
        with lent_randomness(slot.generator):
            oracle.reset(None, info)
        return oracle


class _Slot:
    """What the policy remembers of one environment."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.oracle: Any = None
        self.time = 0.0


def set_simulator(table: Any, state: np.ndarray, time: float = 0.0) -> None:
    """Put arm, cube, buttons, drawer and window where ``state`` (D,), an observation, says; velocities stay.

    The order is OGBench's: 19 numbers of the arm and hand, 9 of the cube, and in the scene 4 of each button (its state
    in two, position, velocity) and position and velocity of drawer and window.
    """
    data = table.data
    data.time = time
    data.qpos[table._arm_joint_ids] = state[:6]
    cube = data.joint("object_joint_0").qpos
    cube[:3], cube[3:] = state[19:22] / LENGTH + CENTRE, state[22:26]
    if len(state) > 28:
        *buttons, slides = state[28:32], state[32:36], state[36:40]
        for number, button in enumerate(buttons):
            table._cur_button_states[number] = int(button[:2].argmax())
            data.joint(f"buttonbox_joint_{number}").qpos[0] = button[2] / BUTTON
        data.joint("drawer_slide").qpos[0] = slides[0] / DRAWER
        data.joint("window_slide").qpos[0] = slides[2] / WINDOW
    optional("mujoco").mj_kinematics(table.model, data)
