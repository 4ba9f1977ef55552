"""A bandit of two arms whose data mislead: they show the worse arm far more often than the better one.

Source: "Dichotomy of Control" (Yang et al. 2022), https://arxiv.org/abs/2210.13435, section 5.1. A reward of 1 is luck
as much as choice: in the data both arms earned it equally often. A policy that is asked for the return 1 does what
earned it, so it draws both arms and earns 0.5, where the better one alone earns 1 - p.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError

ENV_ID = "genrl/bandit-v0"


class Bandit(gym.Env):
    """One step, two arms: the first earns 1 with probability p and else 0, the second with probability 1 - p.

    Args:
        p: chance of the first arm, from 0 to 1.
        render_mode: None; there is nothing to see.

    Attributes:
        P: the table of transitions, as the environments of ``gymnasium.envs.toy_text`` have it.

    Raises:
        ConfigurationError: p is not a probability.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, p: float = 0.1, render_mode: str | None = None) -> None:
        if not 0 <= p <= 1:
            raise ConfigurationError(f"The chance p of an arm is a probability, from 0 to 1, not {p}.")
        self.p, self.render_mode = p, render_mode
        self.chances = np.array([p, 1 - p])
        self.observation_space = gym.spaces.Discrete(1)
        self.action_space = gym.spaces.Discrete(2)
        self.initial_state_distrib = np.ones(1)
        self.P = {0: {arm: [(c, 0, 1, True), (1 - c, 0, 0, True)] for arm, c in enumerate(self.chances.tolist())}}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """The one state there is."""
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Draw an arm, which ends the episode."""
        return 0, float(self.np_random.random() < self.chances[action]), True, False, {}


class Misled:
    """Draws each arm as often as the *other* one pays: the first with probability 1 - p, the second with p.

    Args:
        p: chance of the first arm.
    """

    def __init__(self, p: float) -> None:
        self.p = p
        self._generators = EpisodeGenerators()

    @classmethod
    def for_env(cls, env: gym.Env) -> Misled:
        """The behaviour for a bandit.

        Raises:
            UnsupportedSpaceError: another environment.
        """
        if not isinstance(env.unwrapped, Bandit):
            raise UnsupportedSpaceError(f"Misled draws the arms of {ENV_ID}, not of {env}.")
        return cls(env.unwrapped.p)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New luck where an episode begins."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B,) int64 arms; the likelier one where ``deterministic``.

        Raises:
            ConditionError: there are conditions; it has no aim.
        """
        if conditions is not None:
            conditions.require("Misled", set(), batch=len(observations))
        if deterministic:
            return np.full(len(observations), int(self.p > 0.5), np.int64)
        return self._generators.draw(
            len(observations), lambda generator: np.asarray(generator.random() < self.p, np.int64)
        )


gym.register(ENV_ID, "genrl.data.bandit:Bandit", kwargs={"p": 0.1})
