"""The policy protocol: what a collector or an evaluation needs of anything that acts."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from genrl.data.conditions import Conditions


@runtime_checkable
class Policy(Protocol):
    """Acts in B environments at once and keeps its state per environment.

    Squashing and normalisation are the policy's own business: observations come as the vector environment gives them
    (array, dict or tuple of arrays, B rows first, native units), actions go back as the vector environment takes them.
    """

    def reset(self, mask: np.ndarray, seeds: np.ndarray) -> None:
        """A new episode begins where ``mask`` (B,) is true; its randomness comes from ``seeds`` (B,) int64."""

    def act(self, observations: Any, conditions: Conditions | None = None, deterministic: bool = False) -> Any:
        """Actions for all B environments, inside the action space."""


@runtime_checkable
class Rewarded(Protocol):
    """A policy that wants to know what its actions earned, such as one that aims at a return."""

    def receive(self, rewards: np.ndarray) -> None:
        """(B,) rewards of the last actions, 0 where an environment rests; after every step, before the next reset."""


def receive(policy: Policy, rewards: np.ndarray) -> None:
    """Tell ``policy`` the rewards (B,) of its last actions, if it wants to know."""
    if isinstance(policy, Rewarded):
        policy.receive(rewards)


@runtime_checkable
class Telling(Protocol):
    """A policy that has something to tell of each step beside the action, such as the return that it expects."""

    def infos(self) -> Mapping[str, np.ndarray]:
        """Name -> (B, ...) numbers that belong to the last actions."""


def told(policy: Policy) -> Mapping[str, np.ndarray]:
    """What ``policy`` tells of its last actions beside them, name -> (B, ...); nothing unless it is one that tells."""
    return policy.infos() if isinstance(policy, Telling) else {}
