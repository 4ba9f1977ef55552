"""Observations as a learner's network sees them: state and goal side by side, standardised."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrl.data.errors import ConditionError
from genrl.data.goals import GoalLayout
from genrl.data.spaces import Leaves
from genrl.learners.columns import Columns
from genrl.learners.given_goals import checked, require_finite
from genrl.training.spec import DataSpec


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
            ConditionError: a goal is needed and there is none, or the one given is not (B, G), not finite, or
                outside the space.
        """
        state = self.state.encode(leaves)
        goals = self.desired(leaves) if goal is None else checked(goal, self.goal, len(state), 1)[:, 0].to(state)
        return torch.cat((state, goals), dim=-1)  # (B, D)

    def forward(self, leaves: Leaves, goal: Tensor | None = None) -> Tensor:
        """Leaves (B, *shape) to (B, D); ``goal`` (B, G), in the data's units, takes the place of the desired one.

        Raises:
            ConditionError: a goal is needed and there is none, or the one given is not (B, G), not finite, or
                outside the space.
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

    def shown(self, leaves: Leaves, goal: Tensor | None = None) -> Tensor:
        """``forward`` for what an environment shows a policy (B, *shape), which may be no numbers.

        Raises:
            ConditionError: see ``forward``, or a value that is looked at is NaN or infinite.
        """
        self.require_finite_state(leaves)
        if goal is None and self.goal.dim:
            require_finite(leaves, self.layout.desired)
        return self(leaves, goal)

    def require_finite_state(self, leaves: Leaves) -> None:
        """Refuse states (B, *shape) that are no numbers.

        Raises:
            ConditionError: a value is NaN or infinite.
        """
        require_finite(leaves, self.state.codec.paths, "observation")
