"""What a handful of seeds says: interquartile means and paired gains with bootstrap intervals.

Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice": report the interquartile
mean (the mean of the middle half) with a percentile bootstrap interval over runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 5_000


@dataclass(frozen=True)
class Interval:
    """An estimate and its bootstrap interval, in the unit of the data; bounds are NaN where one run tells no spread."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        known = math.isfinite(self.low) and math.isfinite(self.high)
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]" if known else f"{self.value:.3g}"


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> np.ndarray:
    """Mean of the middle half of ``values`` along ``axis`` (None: of all of them)."""
    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap(
    values: ArrayLike,
    statistic: Callable[..., np.ndarray] = interquartile_mean,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """``statistic`` of ``values`` (n,) with its percentile bootstrap interval over the n independent runs.

    ``statistic(values, axis=...)`` must be vectorised. The resampling is seeded: equal data give equal intervals.
    """
    runs = np.asarray(values, dtype=np.float64)
    if runs.size == 0:
        return Interval(np.nan, np.nan, np.nan)
    value = float(statistic(runs, axis=-1))
    if runs.size == 1:
        return Interval(value, np.nan, np.nan)
    return _resampled(value, (runs,), statistic, confidence, seed, n_resamples=RESAMPLES)


def bootstrap_ratio(sums: ArrayLike, counts: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """Mean of n clusters' members together, ``sums.sum() / counts.sum()``, with its interval over the n clusters.

    Members of a cluster, such as the transitions of an episode, depend on one another, so clusters are drawn whole.
    """
    totals, sizes = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    value = float(totals.sum() / sizes.sum()) if sizes.sum() else np.nan
    if sizes.size < 2:
        return Interval(value, np.nan, np.nan)
    return _resampled(
        value,
        (totals, sizes),
        lambda total, size, axis: total.sum(axis) / size.sum(axis),
        confidence,
        seed,
        n_resamples=RESAMPLES // 5,
        paired=True,
    )


def _resampled(
    value: float,
    samples: tuple[np.ndarray, ...],
    statistic: Callable[..., np.ndarray],
    confidence: float,
    seed: int,
    **options: Any,
) -> Interval:
    """``value`` with the seeded percentile bootstrap interval of ``statistic`` over ``samples`` (n,) each."""
    bounds = stats.bootstrap(
        samples,
        statistic,
        confidence_level=confidence,
        method="percentile",
        vectorized=True,
        batch=max(1, 10_000_000 // samples[0].size),  # resamples at once, so that memory suffices for any n
        rng=np.random.default_rng(seed),
        **options,
    ).confidence_interval
    return Interval(value, float(bounds.low), float(bounds.high))


def paired_gain(arm: ArrayLike, control: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """Interquartile mean of ``arm - control`` over the same n seeds, with its bootstrap interval.

    Pairing removes what the two arms of a seed share (the data drawn, the start states), so the interval is narrower
    than that of two independent means.

    Raises:
        ValueError: the two do not have the same seeds.
    """
    first, second = np.asarray(arm, dtype=np.float64), np.asarray(control, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"A paired gain needs the same seeds in both arms; got {first.shape} and {second.shape}.")
    return bootstrap(first - second, confidence=confidence, seed=seed)


def rate(outcomes: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Share of true ``outcomes`` (n,) with its Wilson interval, honest at 0 and 1 where resampling gives no width."""
    flags = np.asarray(outcomes, dtype=bool)
    if flags.size == 0:
        return Interval(np.nan, np.nan, np.nan)
    bounds = stats.binomtest(int(flags.sum()), flags.size).proportion_ci(confidence, method="wilson")
    return Interval(float(flags.mean()), float(bounds.low), float(bounds.high))
