"""Whether a cheap setting is as good as a dear one, on every measure: a rule over paired runs, for less is better.

A setting is as good as the reference on a measure if both hold:

1. within the interval: its interquartile mean over the runs is not above the upper end of the reference's 95 %
   bootstrap interval;
2. at most 5 % worse: in every run the setting is divided by the reference of that same run; the upper end of the 95 %
   interval of the interquartile mean of these ratios is at most 1.05. A mean ratio below 1.05 is not enough.

Where values below some floor are all equally good (a copying share that fresh data would have), both are raised to it
first. One run has no interval and proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from genrl.evaluation.statistics import Interval, bootstrap, interquartile_mean

WORSE = 1.05


@dataclass(frozen=True)
class Comparison:
    """One measure of a setting beside the reference's in the same runs.

    Attributes:
        ratio: interquartile mean over runs of setting / reference with its 95 % interval; NaN bounds for one run.
        within: whether the setting's interquartile mean lies in the reference's interval or below it.
    """

    ratio: Interval
    within: bool

    @property
    def as_good(self) -> bool:
        """Whether both conditions hold."""
        return self.within and self.ratio.high <= WORSE


def compare(setting: ArrayLike, reference: ArrayLike, floor: float = 0.0) -> Comparison:
    """Compare (n,) values of one measure, run by run; less is better, and nothing counts as less than ``floor``.

    Raises:
        ValueError: the two do not have the same runs, or a reference is 0.
    """
    cheap, dear = (np.maximum(np.asarray(values, dtype=np.float64), floor) for values in (setting, reference))
    if cheap.shape != dear.shape:
        raise ValueError(f"Runs are compared in pairs; got {cheap.shape} and {dear.shape}.")
    if not (dear > 0).all():
        raise ValueError("A reference of 0 has no ratio; give the measure a floor.")
    within = float(interquartile_mean(cheap)) <= _interval(tuple(dear.tolist())).high
    return Comparison(_interval(tuple((cheap / dear).tolist())), within)


@cache
def _interval(values: tuple[float, ...]) -> Interval:
    """Resampling takes long, and all settings are held against the same reference."""
    return bootstrap(values)


def as_good(comparisons: Mapping[str, Comparison]) -> bool:
    """Whether the setting is as good on every measure."""
    return all(comparison.as_good for comparison in comparisons.values())


def worst(comparisons: Mapping[str, Comparison]) -> float:
    """The largest ratio of any measure (interquartile mean over runs)."""
    return max(comparison.ratio.value for comparison in comparisons.values())
