"""The rule of equivalence on numbers whose verdict is plain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.equivalence import as_good, compare, worst

REFERENCE = np.array([0.80, 0.95, 1.00, 1.05, 1.20])  # five training runs, spread by 15 %


def test_the_reference_equals_itself():
    same = compare(REFERENCE, REFERENCE)
    assert same.as_good
    assert (same.ratio.low, same.ratio.value, same.ratio.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.5, True), (1.03, True), (1.05 - 1e-9, True), (1.06, False), (2, False)]
)
def test_five_per_cent_is_the_limit(factor, verdict):
    assert compare(factor * REFERENCE, REFERENCE).as_good is verdict


def test_a_mean_below_the_limit_is_not_enough():
    ratios = np.array([0.90, 0.95, 1.02, 1.10, 1.15])
    noisy = compare(ratios * REFERENCE, REFERENCE)
    assert noisy.ratio.value < 1.05
    assert noisy.within
    assert not noisy.as_good


def test_what_is_within_five_per_cent_must_lie_in_the_interval_too():
    tight = np.array([0.998, 0.999, 1.0, 1.001, 1.002])
    worse = compare(1.03 * tight, tight)
    assert worse.ratio.high < 1.05
    assert not worse.within
    assert not worse.as_good
    assert compare(0.97 * tight, tight).as_good  # below the interval is better, not different


def test_runs_are_paired():
    shuffled = compare(REFERENCE[::-1], REFERENCE)
    assert shuffled.within
    assert not shuffled.as_good


def test_values_below_the_floor_are_the_same():
    assert not compare([0.02] * 5, [0.01] * 5).as_good
    assert compare([0.02] * 5, [0.01] * 5, floor=0.05).as_good
    assert compare([0.0] * 5, [0.0] * 5, floor=0.01).as_good
    assert not compare([0.06] * 5, [0.01] * 5, floor=0.05).as_good


def test_one_run_proves_nothing():
    assert not compare([1.0], [1.0]).as_good


def test_one_measure_that_fails_is_enough():
    good, bad = compare(0.9 * REFERENCE, REFERENCE), compare(1.2 * REFERENCE, REFERENCE)
    assert as_good({"one": good, "other": good})
    assert not as_good({"one": good, "other": bad})
    assert worst({"one": good, "other": bad}) == pytest.approx(1.2)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="in pairs"):
        compare([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="floor"):
        compare([0.0, 1.0], [0.0, 1.0])


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5), st.floats(0.1, 10), st.floats(0.01, 100))
def test_units_do_not_matter(values, factor, unit):
    setting, reference = factor * np.array(values), np.array(values)
    assert compare(unit * setting, unit * reference).ratio.value == pytest.approx(factor)
    assert compare(setting, reference).within == (factor <= 1) or factor > 1  # a better setting is always within
