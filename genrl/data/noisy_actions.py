"""Bodies whose motors do not quite do what they are told: actions with noise that depends on time.

Source: "Dichotomy of Control" (Yang et al. 2022), https://arxiv.org/abs/2210.13435, section 5.3: the noise has mean
0 and standard deviation (1 - exp(-0.01 t)) |sin t| sigma at step t.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.utils import RecordConstructorArgs

from genrl.data.errors import ConfigurationError, UnsupportedSpaceError

BODIES = {"Hopper-v5": 1000, "HalfCheetah-v5": 1000, "Walker2d-v5": 1000, "Reacher-v5": 50, "Humanoid-v5": 1000}
"""Environments of gymnasium that are registered here as ``genrl/Noisy...``, and the steps of their episodes."""


def spread(time: int, sigma: float) -> float:
    """Standard deviation of the noise after ``time`` steps of an episode."""
    return float((1 - np.exp(-0.01 * time)) * abs(np.sin(time)) * sigma)


class NoisyActions(gym.Wrapper, RecordConstructorArgs):
    """Adds Gaussian noise to every action, and clips the sum to the action space.

    The noise comes from the environment's own generator, so the seed of a reset decides it. Whoever acts, and whatever
    records, sees the action that was asked for. The environment's specification tells of the noise, so that a data
    set's own environment has it as well.

    Args:
        env: with actions in a Box.
        sigma: scale of the noise, 0 or more, in units of the action; the paper's reach from 0 to 1.

    Raises:
        ConfigurationError: sigma is negative.
        UnsupportedSpaceError: the actions are no Box.
    """

    def __init__(self, env: gym.Env, sigma: float = 1.0) -> None:
        if not sigma >= 0:
            raise ConfigurationError(f"sigma is the scale of a standard deviation, so not {sigma}.")
        if not isinstance(env.action_space, gym.spaces.Box):
            raise UnsupportedSpaceError(f"Noise is added to actions in a Box, not in {env.action_space}.")
        RecordConstructorArgs.__init__(self, sigma=sigma)
        super().__init__(env)
        self.sigma, self.time = sigma, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, at time 0."""
        self.time = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: np.ndarray) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of what the noise makes of ``action``."""
        space = self.env.action_space
        assert isinstance(space, gym.spaces.Box)
        noise = spread(self.time, self.sigma) * self.np_random.standard_normal(space.shape)
        self.time += 1
        return self.env.step(np.clip(action + noise, space.low, space.high).astype(space.dtype))


def noisy(env_id: str, sigma: float, **settings: Any) -> NoisyActions:
    """An environment of gymnasium with noise on its actions; what makes ``genrl/Noisy...``.

    Args:
        env_id: such as Hopper-v5.
        sigma: scale of the noise.
        settings: of the environment itself.
    """
    spec = gym.spec(env_id)
    body: Any = load_env_creator(str(spec.entry_point))(**spec.kwargs | settings)
    return NoisyActions(body, sigma)


for _id, _steps in BODIES.items():
    gym.register(
        f"genrl/Noisy{_id}",
        "genrl.data.noisy_actions:noisy",
        max_episode_steps=_steps,
        kwargs={"env_id": _id, "sigma": 0.5},
    )
