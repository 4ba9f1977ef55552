"""A policy in a single environment: what an ordinary Gymnasium loop drives."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.policy import Policy, receive
from genrl.data.spaces import flatten, unflatten


class Alone:
    """Drives one environment by a policy for many.

    ::

        observation, _ = env.reset(seed=0)
        policy.reset(seed=0)
        while not done:
            observation, reward, terminated, truncated, _ = env.step(policy.act(observation))
            policy.receive(reward)  # for policies that aim at a return; others do not mind

    Args:
        policy: any policy.
        observation_space, action_space: of the environment.
    """

    def __init__(self, policy: Policy, observation_space: gym.Space, action_space: gym.Space) -> None:
        self.policy, self.observation_space, self.action_space = policy, observation_space, action_space

    @classmethod
    def of(cls, policy: Policy, env: gym.Env) -> Alone:
        """For the spaces of ``env``."""
        return cls(policy, env.observation_space, env.action_space)

    def reset(self, seed: int = 0) -> None:
        """Begin an episode, whose randomness comes from ``seed``."""
        self.policy.reset(np.ones(1, bool), np.array([seed], dtype=np.int64))

    def act(self, observation: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """One action for one observation; ``conditions`` have one row.

        Raises:
            ConditionError: the policy does not take these conditions.
        """
        rows = {path: np.asarray(leaf)[None] for path, leaf in flatten(self.observation_space, observation).items()}
        actions = self.policy.act(unflatten(self.observation_space, rows), conditions, deterministic)
        return unflatten(self.action_space, {path: row[0] for path, row in flatten(self.action_space, actions).items()})

    def receive(self, reward: float) -> None:
        """Tell the policy the reward of its last action, if it wants to know."""
        receive(self.policy, np.array([reward], dtype=np.float64))
