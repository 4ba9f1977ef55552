"""Value iteration on the table of transitions that an environment of few states carries, and a policy by it.

Any environment with ``P`` as in ``gymnasium.envs.toy_text`` will do: FrozenLake, CliffWalking, Taxi, genrl's bandit.
Source: Bellman 1957; Sutton and Barto, "Reinforcement Learning", section 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError, UnsupportedSpaceError

PRECISION = 1e-12
"""Largest change of a value, relative to the largest reward, at which value iteration stops."""


@dataclass(frozen=True)
class Tables:
    """A Markov decision process of S states and A actions.

    Attributes:
        chance: (S, A, S) probability of going on to a state; what is missing to 1 is the probability of an end.
        reward: (S, A) expected reward.
        start: (S,) probability that an episode begins there.
    """

    chance: np.ndarray
    reward: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, env: gym.Env) -> Tables:
        """Read off the environment's own table.

        Raises:
            UnsupportedSpaceError: it has none.
        """
        inner: Any = env.unwrapped
        if not hasattr(inner, "P") or not hasattr(inner, "initial_state_distrib"):
            raise UnsupportedSpaceError(f"Value iteration needs a table of transitions, env.P, which {env} has not.")
        states, actions = int(inner.observation_space.n), int(inner.action_space.n)
        chance, reward = np.zeros((states, actions, states)), np.zeros((states, actions))
        for state, choices in inner.P.items():
            for action, outcomes in choices.items():
                for probability, following, earned, ends in outcomes:
                    chance[state, action, following] += probability * (not ends)
                    reward[state, action] += probability * earned
        return cls(chance, reward, np.asarray(inner.initial_state_distrib, np.float64))

    def backup(self, values: np.ndarray, discount: float = 1.0) -> np.ndarray:
        """(S, A) what an action is worth where the states that follow are worth ``values`` (S,)."""
        return self.reward + discount * self.chance @ values

    def optimum(self, steps: int) -> float:
        """The largest expected undiscounted return of an episode that is cut off after so many steps."""
        values = np.zeros(len(self.start))
        for _ in range(steps):
            values = self.backup(values).max(1)
        return float(self.start @ values)

    def expected_return(self, policy: np.ndarray, steps: int) -> float:
        """The same of a policy (S, A), the probability of each action."""
        values = np.zeros(len(self.start))
        for _ in range(steps):
            values = (policy * self.backup(values)).sum(1)
        return float(self.start @ values)

    def action_values(self, discount: float) -> np.ndarray:
        """(S, A) optimal discounted action values of an episode without a time limit."""
        values, change = np.zeros(len(self.start)), np.inf
        while change > PRECISION * max(1.0, np.abs(self.reward).max()):
            following = self.backup(values, discount).max(1)
            values, change = following, np.abs(following - values).max()
        return self.backup(values, discount)


class ValueIteration:
    """The optimal policy, except that with probability epsilon an action is drawn evenly.

    Args:
        tables: of the environment.
        epsilon: share of actions that are drawn, from 0 to 1.
        discount: of the values that are optimal, below 1: the sooner, the better.

    Attributes:
        best: (S,) int64 the optimal action of each state; the first of several.

    Raises:
        ConfigurationError: epsilon or the discount is out of range.
    """

    def __init__(self, tables: Tables, epsilon: float = 0.0, discount: float = 0.99) -> None:
        if not 0 <= epsilon <= 1:
            raise ConfigurationError(f"epsilon is a share of the actions, from 0 to 1, not {epsilon}.")
        if not 0 <= discount < 1:
            raise ConfigurationError(f"Value iteration ends for a discount from 0 to below 1, not {discount}.")
        self.tables, self.epsilon, self.discount = tables, epsilon, discount
        self.best = tables.action_values(discount).argmax(1)
        self._generators = EpisodeGenerators()

    @classmethod
    def for_env(cls, env: gym.Env, **settings: float) -> ValueIteration:
        """The policy for an environment with a table of transitions.

        Raises:
            UnsupportedSpaceError: it has none.
            ConfigurationError: epsilon or the discount is out of range.
        """
        return cls(Tables.of(env), **settings)

    @property
    def chances(self) -> np.ndarray:
        """(S, A) the probability of each action."""
        actions = self.tables.reward.shape[1]
        return self.epsilon / actions + (1 - self.epsilon) * np.eye(actions)[self.best]

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """New draws where an episode begins."""
        self._generators.reset(mask, seeds)

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> np.ndarray:
        """(B,) int64 actions in the states (B,); the optimal ones where ``deterministic``.

        Raises:
            ConditionError: there are conditions; it wants nothing but the rewards.
        """
        if conditions is not None:
            conditions.require("ValueIteration", set(), batch=len(observations))
        best = self.best[np.asarray(observations)]
        if deterministic:
            return best
        coins = self._generators.draw(len(observations), lambda generator: generator.random(2))  # (B, 2)
        drawn = (coins[:, 1] * self.tables.reward.shape[1]).astype(np.int64)
        return np.where(coins[:, 0] < self.epsilon, drawn, best)
