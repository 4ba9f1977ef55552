"""Interquartile means and bootstrap intervals against closed forms."""

import numpy as np
import pytest
from scipy import stats

from genrl.evaluation.statistics import bootstrap, interquartile_mean, paired_gain, rate


def test_interquartile_mean_drops_a_quarter_at_each_end():
    assert interquartile_mean([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0]) == np.mean([2.0, 3.0, 4.0, 5.0])


def test_bootstrap_interval_of_a_mean_matches_the_normal_one():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    interval = bootstrap(values, np.mean)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(400)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap(values, np.mean) == interval


def test_bootstrap_of_constant_single_and_no_values():
    constant = bootstrap(np.full(10, 0.7))
    assert (constant.value, constant.low, constant.high) == pytest.approx((0.7, 0.7, 0.7))
    assert np.isnan(bootstrap([1.0]).low)
    assert bootstrap([1.0]).value == 1.0
    assert np.isnan(bootstrap([]).value)
    assert str(bootstrap([1.0])) == "1"
    assert str(constant) == "0.7 [0.7, 0.7]"


def test_pairing_removes_what_seeds_share():
    rng = np.random.default_rng(0)
    seeds = rng.normal(0.0, 10.0, 10)
    gain = paired_gain(seeds + 1.0 + rng.normal(0.0, 0.1, 10), seeds)
    assert 0.8 < gain.low < 1.0 < gain.high < 1.2
    with pytest.raises(ValueError, match="same seeds"):
        paired_gain([1.0, 2.0], [1.0])


def test_rate_is_the_wilson_interval():
    z = stats.norm.ppf(0.975)
    interval = rate([True] * 45 + [False] * 5)
    centre = (0.9 + z**2 / 100) / (1 + z**2 / 50)
    half = z / (1 + z**2 / 50) * np.sqrt(0.9 * 0.1 / 50 + z**2 / (4 * 50**2))
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.9, centre - half, centre + half))
    assert 0.9 < rate([True] * 50).low < 0.95


def test_an_interval_takes_no_more_memory_for_more_values():
    """All 5,000 resamples of a million values at once would be 40 GB."""
    at_once = []

    def spread(values, axis):
        at_once.append(values.size)
        return values.mean(axis)

    bootstrap(np.random.default_rng(0).normal(size=20_000), spread)
    assert max(at_once) <= 10_000_000
