"""The demo's result, in numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genrl.evaluation.evaluate import Evaluation
from genrl.evaluation.statistics import Interval, rate

Row = tuple[str, str, str, str, str]
HEADINGS: Row = ("trained on", "success", "95 % interval", "lowest to highest learner", "mean steps")


def rows(attempts: Mapping[str, list[Evaluation]]) -> tuple[list[Row], dict[str, Interval]]:
    """A row for each arm (success, its interval over attempts, spread over learners, steps), and the intervals."""
    table: list[Row] = []
    intervals: dict[str, Interval] = {}
    for arm, evaluations in attempts.items():
        outcomes = np.array([evaluation.success for evaluation in evaluations])  # (learners, attempts)
        pooled = intervals[arm] = rate(outcomes.ravel())
        by_learner = outcomes.mean(1)
        steps = np.mean([evaluation.lengths.mean() for evaluation in evaluations])
        interval = f"{pooled.low:.2f} to {pooled.high:.2f}"
        spread = f"{by_learner.min():.2f} to {by_learner.max():.2f}"
        table.append((arm, f"{pooled.value:.2f}", interval, spread, f"{steps:.0f}"))
    return table, intervals
