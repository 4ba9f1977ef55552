"""Goals that a caller or an environment gives, checked before a policy follows them."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from genrl.data.errors import ConditionError
from genrl.data.spaces import Leaves
from genrl.learners.columns import Columns


def checked(goal: Tensor, columns: Columns, count: int, length: int) -> Tensor:
    """Goals (B, D), or (B, G, D) for G consecutive ones, in the data's units, as (B, G, D).

    Args:
        columns: what a goal consists of.
        count: B.
        length: G.

    Raises:
        ConditionError: a wrong shape, a value that is not finite, or one outside the observation space.
    """
    dim = columns.dim
    if goal.shape not in ((count, dim), (count, length, dim)):
        raise ConditionError(
            f"The condition 'goal' must be ({count}, {dim}) or ({count}, {length}, {dim}), not {tuple(goal.shape)}: one"
            " goal for each environment, in the units of the achieved goal."
        )
    if not goal.isfinite().all():
        row = int((~goal.isfinite()).flatten(1).any(1).nonzero()[0])
        raise ConditionError(f"The condition 'goal' holds NaN or infinite values in row {row}; leave no entry open.")
    columns.codec.require_inside(goal, "goal")
    return goal.float().reshape(count, -1, dim).expand(-1, length, -1)


def require_finite(leaves: Leaves, paths: Iterable[str], what: str = "goal") -> None:
    """Refuse goals, or ``what`` else an environment shows (B, *shape), that are no numbers.

    Raises:
        ConditionError: a value is NaN or infinite.
    """
    for path in paths:
        if leaves[path].is_floating_point() and not leaves[path].isfinite().all():
            raise ConditionError(f"The environment's {what} at '{path}' holds NaN or infinite values.")
