"""Several policies that take turns within an episode: data of mixed skill in which every state has a choice.

Where each acts for whole episodes, the states tell who acts, and whoever learns from them has nothing to choose after
the first steps; where they take turns, what one begins is another's to go on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from genrl.data.conditions import Conditions
from genrl.data.episode_seeds import EpisodeGenerators
from genrl.data.errors import ConfigurationError
from genrl.data.policy import Policy, receive
from genrl.data.spaces import flatten, unflatten


class Relay:
    """One of several policies acts, and after every step, with a chance of 1 in ``every``, one is drawn anew.

    Turns therefore have no fixed length, and nothing tells when the next one comes. All members see all observations
    and rewards, so that those who remember are ready when it is their turn. Their randomness comes from seeds of their
    own.

    Args:
        members: at least one.
        action_space: in which all of them act.
        every: steps between two draws in the mean, 1 or more; a draw may fall on who acts already.

    Raises:
        ConfigurationError: no member, or less than one step.
    """

    def __init__(self, members: Sequence[Policy], action_space: gym.Space, every: float = 25.0) -> None:
        if not members:
            raise ConfigurationError("A relay has at least one member.")
        if not every >= 1:
            raise ConfigurationError(f"Members of a relay are drawn every 1 or more steps, not {every}.")
        self.members, self.action_space, self.every = list(members), action_space, every
        self._generators = EpisodeGenerators()
        self._turn = self._acted = np.zeros(0, np.int64)

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """Draw who begins where an episode does."""
        if len(self._turn) != len(mask):
            mask, self._turn = np.ones(len(mask), bool), np.zeros(len(mask), np.int64)
        own = np.array([_seeds(seed, len(self.members) + 1) for seed in seeds], np.int64).T  # (members + 1, B)
        for member, theirs in zip(self.members, own[1:], strict=True):
            member.reset(mask, theirs)
        self._generators.reset(mask, own[0])
        for slot in np.flatnonzero(mask):
            self._turn[slot] = self._generators[slot].integers(len(self.members))

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions of those whose turn it is; turns are drawn even where actions are ``deterministic``."""
        each = [
            flatten(self.action_space, member.act(observations, conditions, deterministic)) for member in self.members
        ]
        count = len(next(iter(each[0].values())))
        drawn, self._acted = self._generators.draw(count, self._draw), self._turn.copy()
        rows = np.arange(count)
        chosen = {path: np.stack([actions[path] for actions in each])[self._acted, rows] for path in each[0]}
        self._turn = np.where(drawn < 0, self._turn, drawn)
        return unflatten(self.action_space, chosen)

    def receive(self, rewards: np.ndarray) -> None:
        """Pass on to the members what was earned."""
        for member in self.members:
            receive(member, rewards)

    def infos(self) -> dict[str, np.ndarray]:
        """What a collection keeps beside every step: ``member`` (B,), the index of who acted."""
        return {"member": self._acted}

    def _draw(self, generator: np.random.Generator) -> np.ndarray:
        """() the next member, or -1 for who acts now."""
        another = generator.random() < 1 / self.every
        return np.asarray(generator.integers(len(self.members)) if another else -1, np.int64)


def _seeds(seed: int, count: int) -> list[int]:
    """As many seeds as there are to draw for, so that nobody's numbers are another's."""
    return [int(state) >> 1 for state in np.random.SeedSequence(int(seed)).generate_state(count, np.uint64)]
