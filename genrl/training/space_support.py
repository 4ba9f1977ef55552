"""Which spaces a method or learner takes: stated once in its class, checked before anything is built, listed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from genrl.data.errors import UnsupportedSpaceError
from genrl.data.spaces import leaf_spaces

IMAGE = "image"
BOUNDED = "bounded Box"
NUMBERS = frozenset({BOUNDED, "unbounded Box", "integer Box"})
CHOICES = frozenset({"Discrete", "MultiDiscrete", "MultiBinary"})


def kind(leaf: gym.Space) -> str:
    """What a leaf of a space is called in the table."""
    if not isinstance(leaf, gym.spaces.Box):
        return type(leaf).__name__
    if leaf.dtype == np.uint8 and len(leaf.shape) >= 2:
        return IMAGE
    if not np.issubdtype(leaf.dtype, np.floating):
        return "integer Box"
    return BOUNDED if np.isfinite(leaf.low).all() and np.isfinite(leaf.high).all() else "unbounded Box"


@dataclass(frozen=True)
class SpaceSupport:
    """Kinds of leaves that are taken, by themselves or in any nesting of Dict and Tuple.

    Attributes:
        observations, actions: names as ``kind`` gives them.
    """

    observations: frozenset[str] = NUMBERS | CHOICES
    actions: frozenset[str] = NUMBERS | CHOICES

    def require(self, who: str, observation_space: gym.Space, action_space: gym.Space) -> None:
        """Refuse other spaces in the name of ``who``.

        Raises:
            UnsupportedSpaceError: a leaf is of another kind; the message names it and those that are taken.
        """
        for role, space, taken in (
            ("observations", observation_space, self.observations),
            ("actions", action_space, self.actions),
        ):
            for path, leaf in leaf_spaces(space).items():
                if kind(leaf) not in taken:
                    where = f" at '{path}'" if path else ""
                    raise UnsupportedSpaceError(
                        f"{who} does not take {role} of the kind {kind(leaf)} ({leaf}{where}); it takes"
                        f" {', '.join(sorted(taken))}, and Dict or Tuple of these."
                    )


def support_table(classes: Iterable[type]) -> list[tuple[str, str, str]]:
    """A row (name, observations, actions) for each method or learner."""
    return [
        (cls.__name__, ", ".join(sorted(cls.takes.observations)), ", ".join(sorted(cls.takes.actions)))  # type: ignore[attr-defined]
        for cls in classes
    ]
