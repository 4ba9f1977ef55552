"""Rewards and ends that fit the goals: synthetic episodes of a goal-conditioned environment, labelled in hindsight.

Their desired goal is what they achieved (Andrychowicz et al. 2017, https://arxiv.org/abs/1707.01495), or what was asked
for or pursued, so the rewards that go with it are the environment's own function of achieved and desired goal, not
generated ones; and where the environment ends an episode that arrives, they end there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from genrl.data.env_specs import recorded_spec
from genrl.data.environments import make_env
from genrl.data.episodes import DatasetCard, Episodes
from genrl.data.errors import GenrlError
from genrl.data.goals import GoalLayout


@dataclass(frozen=True)
class Rewards:
    """Recomputes rewards and terminations from goals.

    Attributes:
        compute: (achieved (N, G), desired (N, G), infos) -> (N,) rewards.
        achieved, desired: paths of the goals.
        arrived: (achieved (G,), desired (G,), infos) -> whether an episode terminates there; None where goals end none.
    """

    compute: Callable[[np.ndarray, np.ndarray, Any], Any]
    achieved: str
    desired: str
    arrived: Callable[[np.ndarray, np.ndarray, Any], Any] | None = None

    @classmethod
    def of(cls, card: DatasetCard, space: gym.Space) -> Rewards | None:
        """The reward function of the environment in ``card``; None where the space holds no goals.

        An environment that cannot be restored, or has no ``compute_reward``, gives a warning and None: the generated
        rewards stay.
        """
        layout = GoalLayout.of(space)
        if len(layout.desired) != 1 or len(layout.achieved) != 1:
            return None
        try:
            if (spec := recorded_spec(card, "env_spec")) is None:
                raise GenrlError("the data set has no environment")
            env = make_env(spec).unwrapped
            compute = env.compute_reward  # type: ignore[attr-defined]
        except (GenrlError, gym.error.Error, AttributeError, ImportError, ValueError) as error:
            warnings.warn(
                f"Rewards stay as generated, though goals are labelled in hindsight: no reward function ({error}).",
                stacklevel=2,
            )
            return None
        return cls(compute, layout.achieved[0], layout.desired[0], getattr(env, "compute_terminated", None))

    def __call__(self, episodes: Episodes) -> Episodes:
        """``episodes`` with the rewards and ends of their own goals, as the environment has them on arrival at s_{t+1}.

        An episode that goes on beyond the first such end is cut off there.
        """
        rows = episodes.observation_rows + 1
        achieved = episodes.observations[self.achieved][rows].numpy()
        desired = episodes.observations[self.desired][rows].numpy()
        try:
            rewards = np.asarray(self.compute(achieved, desired, {}), dtype=np.float64).reshape(len(rows))
        except (ValueError, TypeError):  # written for single goals
            rewards = np.array([self.compute(a, d, {}) for a, d in zip(achieved, desired, strict=True)], np.float64)
        rewarded = replace(episodes, rewards=torch.from_numpy(rewards).to(episodes.rewards.dtype))
        if self.arrived is None:
            return rewarded
        return _ended(rewarded, [bool(self.arrived(a, d, {})) for a, d in zip(achieved, desired, strict=True)])


def _ended(episodes: Episodes, arrived: list[bool]) -> Episodes:
    """``episodes`` up to the first of their transitions (N,) that arrive, which terminate them."""
    if not any(arrived):
        return episodes
    there = torch.tensor(arrived)
    step = torch.arange(episodes.num_transitions) - episodes.transition_starts[episodes.episode_of_transition] + 1
    lengths = episodes.lengths.scatter_reduce(0, episodes.episode_of_transition[there], step[there], "amin")
    ended = replace(episodes, terminations=episodes.terminations | there, truncations=episodes.truncations & ~there)
    return ended.cut(lengths)
