"""Observations as a learner's network sees them: state and goal side by side, standardised."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym
import torch
from torch import Tensor, nn

from genrl.data.codecs import SpaceCodec
from genrl.data.errors import ConditionError
from genrl.data.goals import GoalLayout
from genrl.data.normalizers import ZScore
from genrl.data.spaces import Leaves
from genrl.training.spec import DataSpec

EPS = 1e-3
"""Added to every standard deviation, as TD3+BC does (Fujimoto and Gu 2021, arXiv:2106.06860, section 5)."""


class Columns(nn.Module):
    """Some leaves of a space as standardised columns.

    Args:
        space: of the observations.
        leaves: paths, in this order; there may be none.
    """

    def __init__(self, space: gym.Space, leaves: Sequence[str]) -> None:
        super().__init__()
        self.codec = SpaceCodec(space, leaves)
        self.normalizer = ZScore(self.codec.dim)
        self.dim = self.codec.dim

    def fit(self, leaves: Leaves) -> None:
        """Learn mean and standard deviation from leaves (R, *shape)."""
        self.normalizer.fit(self.encode(leaves))
        self.normalizer.scale += EPS

    def encode(self, leaves: Leaves) -> Tensor:
        """Leaves (R, *shape) to (R, D) columns in the data's units, on this module's device."""
        return self.codec.encode(leaves)

    def normalize(self, columns: Tensor) -> Tensor:
        """(B, D) columns in the data's units to standardised ones."""
        return self.normalizer.normalize(columns)

    def forward(self, leaves: Leaves) -> Tensor:
        """Leaves (R, *shape) to (R, D) standardised columns."""
        return self.normalize(self.encode(leaves))


class Observer(nn.Module):
    """[state, goal] columns of observations.

    An achieved goal that merely copies a part of the state is left out; one that does not belongs to the state.

    Args:
        spec: of the training data.
        goal: leaves that say what a goal is: the desired ones by default, to learn from goals as they were recorded;
            the achieved ones to learn from hindsight, which desired or given goals replace when acting.

    Attributes:
        dim: columns in all.
    """

    def __init__(self, spec: DataSpec, goal: tuple[str, ...] | None = None) -> None:
        super().__init__()
        self.layout = GoalLayout.of(spec.observation_space)
        copied = spec.tied is not None
        separate = tuple(leaf for leaf in self.layout.achieved if leaf not in self.layout.state and not copied)
        self.state = Columns(spec.observation_space, self.layout.state + separate)
        self.goal = Columns(spec.observation_space, self.layout.desired if goal is None else goal)
        self.dim = self.state.dim + self.goal.dim

    def fit(self, leaves: Leaves) -> None:
        """Learn mean and standard deviation of every column."""
        self.state.fit(leaves)
        self.goal.fit(leaves)

    def normalize(self, columns: Tensor) -> Tensor:
        """(B, D) [state, goal] in the data's units to standardised columns."""
        state, goal = columns.split((self.state.dim, self.goal.dim), dim=-1)
        return torch.cat((self.state.normalize(state), self.goal.normalize(goal)), dim=-1)

    def encode(self, leaves: Leaves, goal: Tensor | None = None) -> Tensor:
        """Leaves (B, *shape) to [state, goal] columns (B, D) in the data's units; ``goal`` as in ``forward``.

        Raises:
            ConditionError: a goal is needed and there is none, or it is not (B, G).
        """
        state = self.state.encode(leaves)
        goals = self.desired(leaves) if goal is None else self._given(goal, state)
        return torch.cat((state, goals), dim=-1)  # (B, D)

    def forward(self, leaves: Leaves, goal: Tensor | None = None) -> Tensor:
        """Leaves (B, *shape) to (B, D); ``goal`` (B, G), in the data's units, takes the place of the desired one.

        Raises:
            ConditionError: a goal is needed and there is none, or it is not (B, G).
        """
        return self.normalize(self.encode(leaves, goal))

    def desired(self, leaves: Leaves) -> Tensor:
        """(B, G) the goals that observations ask for, in the data's units; no columns for a learner without goals.

        Raises:
            ConditionError: the observations hold none.
        """
        paths = self.goal.codec.paths
        if not paths:
            return self.goal.encode(leaves)
        if not self.layout.desired:
            raise ConditionError(
                "These observations hold no desired goal; pass Conditions(goal=...), a state to be reached, or learn "
                "from an environment with goals."
            )
        return self.goal.encode({path: leaves[asked] for path, asked in zip(paths, self.layout.desired, strict=True)})

    def _given(self, goal: Tensor, state: Tensor) -> Tensor:
        if goal.shape != (len(state), self.goal.dim):
            raise ConditionError(
                f"The condition 'goal' must be ({len(state)}, {self.goal.dim}), not {tuple(goal.shape)}: one goal for "
                "each observation, in the units of the achieved goal."
            )
        return goal.to(state)
