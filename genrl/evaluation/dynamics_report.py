"""Error of the dynamics and likelihood under a policy, beside controls: as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes

from genrl.data.episodes import Episodes
from genrl.evaluation.dynamics_error import MOST, DynamicsError, dynamics_error, shuffled_actions
from genrl.evaluation.likelihood import PolicyLikelihood, policy_likelihood
from genrl.evaluation.style import Picture, colours, grid, label, legend_below
from genrl.learners.learner import Learner

FLOOR = 1e-4
"""Errors below this are drawn here."""


@dataclass(frozen=True)
class DynamicsReport:
    """Name of a data set -> what was measured of it; the columns of one table.

    Attributes:
        errors: of the dynamics.
        likelihoods: under the policy; empty where none was named.
    """

    errors: Mapping[str, DynamicsError]
    likelihoods: Mapping[str, PolicyLikelihood] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, ...]]:
        """What to show of it: (quantity with unit, value for each data set)."""
        measured = [*map(list, map(DynamicsError.rows, self.errors.values()))]
        judged = [*map(list, map(PolicyLikelihood.rows, self.likelihoods.values()))]
        together = [*zip(*measured, strict=True), *zip(*judged, strict=True)]
        return [(cells[0][0], *(value for _, value in cells)) for cells in together]

    def __str__(self) -> str:
        table = [("", *self.errors), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
        return "\n".join(line.rstrip() for line in lines)


def dynamics_report(
    data: Episodes, real: Episodes, learner: Learner | None = None, seed: int = 0, most: int = MOST
) -> DynamicsReport:
    """Measure ``data`` beside the controls: ``real`` itself, and real with its actions shuffled.

    Raises:
        ConfigurationError, UnsupportedSpaceError, AlignmentError, ConditionError: as ``dynamics_error`` and
            ``policy_likelihood`` do.
    """
    sets = {"data": data, "real": real, "real, actions shuffled": shuffled_actions(real, seed)}
    errors = {name: dynamics_error(episodes, real, seed, most) for name, episodes in sets.items()}
    if learner is None:
        return DynamicsReport(errors)
    return DynamicsReport(errors, {name: policy_likelihood(learner, episodes) for name, episodes in sets.items()})


def error_curves(errors: Mapping[str, DynamicsError]) -> Picture:
    """Cumulative distributions of the errors of next states and of rewards, one curve a data set.

    Impossible states count as beyond every error, so a curve ends below 1 by their share; hidden ones are left out.
    """
    picture, (left, right) = grid(2, 2, 4.4, 3.1)
    palette = colours(errors)
    for name, measured in errors.items():
        judged = measured.transitions - measured.hidden
        _curve(left, measured.errors, judged, name, palette[name])
        _curve(right, measured.rewards, judged, name, palette[name])
    label(left, x="error of the next state (std of real changes)", y="share of transitions")
    label(right, x="error of the reward (std of real rewards)")
    legend_below(picture, left.get_lines())
    return picture


def _curve(axes: Axes, values: np.ndarray, judged: int, name: str, colour: str) -> None:
    """Share of ``judged`` transitions whose value is at most x; what is missing in ``values`` is beyond all."""
    ordered = np.sort(np.maximum(values, FLOOR))
    shares = np.arange(1, len(ordered) + 1) / max(judged, 1)
    end = shares[-1] if len(shares) else 0.0
    x, y = np.concatenate(([FLOOR], ordered, [1e6])), np.concatenate(([0.0], shares, [end]))
    axes.step(x, y, where="post", color=colour, linewidth=1.8, label=name)
    axes.set(xscale="log", xlim=(FLOOR, 30.0), ylim=(0.0, 1.02))
