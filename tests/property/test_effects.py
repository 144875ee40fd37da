"""What must hold of every effect, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.stats import Prior, Scale, adjust, clusters, estimate, lower_median

VALUE = st.integers(min_value=1, max_value=10**6)
SCATTER = st.sampled_from([0.0002, 0.02, 0.2])


@st.composite
def arms(draw):
    n = draw(st.integers(1, 10))
    return draw(st.lists(VALUE, min_size=n, max_size=n)), draw(
        st.lists(VALUE, min_size=n, max_size=n)
    )


@given(arms(), SCATTER, st.booleans())
def test_swapping_the_arms_inverts_the_effect(both, scatter, paired):
    baseline, candidate = both
    there = estimate(baseline, candidate, prior=Prior(scatter), paired=paired)
    back = estimate(candidate, baseline, prior=Prior(scatter), paired=paired)
    assert back.estimate == pytest.approx(-there.estimate, abs=1e-12)
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]), abs=1e-9)
    assert back.p_value == pytest.approx(there.p_value)


@given(arms(), SCATTER, st.booleans(), st.integers(2, 1000))
def test_scaling_both_arms_leaves_the_ratio(both, scatter, paired, factor):
    baseline, candidate = map(np.asarray, both)
    one = estimate(baseline, candidate, prior=Prior(scatter), paired=paired)
    many = estimate(baseline * factor, candidate * factor, prior=Prior(scatter), paired=paired)
    assert many.estimate == pytest.approx(one.estimate, abs=1e-9)
    assert many.interval == pytest.approx(one.interval, rel=1e-6, abs=1e-9)


@given(arms(), st.randoms(use_true_random=False))
def test_the_order_of_boots_is_irrelevant(both, random):
    baseline, candidate = both
    shuffled = list(candidate)
    random.shuffle(shuffled)
    one = estimate(baseline, candidate, prior=Prior(0.02), paired=False)
    other = estimate(baseline, shuffled, prior=Prior(0.02), paired=False)
    assert other.interval == pytest.approx(one.interval, abs=1e-12)
    order = list(range(len(baseline)))
    random.shuffle(order)
    one = estimate(baseline, candidate, prior=Prior(0.02), paired=True)
    other = estimate(
        [baseline[i] for i in order], [candidate[i] for i in order], prior=Prior(0.02), paired=True
    )
    assert other.interval == pytest.approx(one.interval, abs=1e-12)


@given(arms(), SCATTER, st.booleans(), st.sampled_from(list(Scale)))
def test_the_interval_holds_the_estimate_and_grows_with_confidence(both, scatter, paired, scale):
    baseline, candidate = both
    wide, narrow = (
        estimate(
            baseline, candidate, prior=Prior(scatter), paired=paired, scale=scale, confidence=level
        )
        for level in (0.99, 0.9)
    )
    assert wide.interval[0] <= narrow.interval[0] <= narrow.estimate + 1e-12
    assert narrow.estimate - 1e-12 <= narrow.interval[1] <= wide.interval[1]
    assert 0 <= wide.p_value <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_values_never_fall_below_the_raw_ones_and_keep_their_order(raw):
    adjusted = adjust(raw)
    assert (adjusted >= np.asarray(raw) - 1e-12).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= -1e-12).all()


@given(st.lists(VALUE, min_size=1, max_size=30))
def test_levels_are_values_that_occurred_in_ascending_order(values):
    levels = clusters(values, 0.01)
    assert set(levels) <= set(map(float, values))
    assert list(levels) == sorted(set(levels))
    assert lower_median(values) in set(map(float, values))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 5, 10]))
def test_intervals_cover_as_often_as_they_say(seed, boots):
    """Truth 1.0, scatter as the prior has it: 95 % intervals miss in about 5 % of 400 draws."""
    random = np.random.default_rng(seed)
    misses = 0
    for _ in range(400):
        baseline = np.exp(random.normal(0, 0.02 / np.sqrt(2), boots))
        candidate = np.exp(random.normal(0, 0.02 / np.sqrt(2), boots))
        low, high = estimate(baseline, candidate, prior=Prior(0.02), paired=True).interval
        misses += not low <= 0 <= high
    assert misses <= 42  # binomial(400, 0.05) exceeds this once in 100,000 times
