"""What a trajectory may be asked for: the one condition type that every method understands or refuses by name."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from torch import Tensor

from genrl.data.errors import ConditionError


@dataclass(frozen=True)
class Conditions:
    """A batch of B wishes; every field is optional.

    Attributes:
        start: (B, D) first state, in the data's own units: the encoded observation without its goals, see
            ``SpaceCodec``; for rollouts in a world model followed by what it achieves, where that copies no part of it.
        goal: (B, G) goal to be reached at the end (achieved-goal units, or a whole state where the space has none).
        returns: (B,) undiscounted return wanted.
        outcome: (B,) or (B, K) outcome of a GFlowNet.
        latent: (B, Z) latent future.
        known: (B, T, D) known entries of the trajectory, NaN where unknown.

    Raises:
        ConditionError: a field is no tensor; an entry is infinite, or NaN in another field than ``known``.
    """

    start: Tensor | None = None
    goal: Tensor | None = None
    returns: Tensor | None = None
    outcome: Tensor | None = None
    latent: Tensor | None = None
    known: Tensor | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            if not isinstance(value, Tensor):
                raise ConditionError(f"The condition '{name}' is a tensor of torch, not a {type(value).__name__}.")
            bad = value.isinf() if name == "known" else ~value.isfinite()
            if bad.any():
                row = int(bad.nonzero()[0, 0]) if value.ndim else 0
                raise ConditionError(
                    f"The condition '{name}' holds NaN or infinite values in row {row}; NaN may stand in 'known' alone,"
                    " for entries that are left open."
                )

    def given(self) -> dict[str, Tensor]:
        """The fields that are set, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def require(self, who: str, understood: set[str], batch: int | None = None) -> None:
        """Refuse by name what ``who`` does not understand.

        Raises:
            ConditionError: a field outside ``understood`` is set, or a batch size differs from ``batch``.
        """
        for name, value in self.given().items():
            if name not in understood:
                known = ", ".join(sorted(understood)) or "none"
                raise ConditionError(f"{who} does not understand the condition '{name}'; it understands: {known}.")
            if batch is not None and value.shape[:1] != (batch,):
                rows = value.shape[0] if value.ndim else "no"
                raise ConditionError(f"The condition '{name}' has {rows} rows for a batch of {batch}.")

    def rows(self, index: slice | Tensor) -> Conditions:
        """The same conditions for part of the batch."""
        return replace(self, **{name: value[index] for name, value in self.given().items()})
