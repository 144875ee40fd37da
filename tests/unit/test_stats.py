"""Statistics on arrays whose answers are known by other means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from kernleap.model.errors import UsageError
from kernleap.stats import (
    Prior,
    Scale,
    adjust,
    aggregate,
    boots_needed,
    clusters,
    estimate,
    lower_median,
    overlap_share,
    separation_p,
)

NO_PRIOR = Prior(0.0, 0.0)


def test_lower_median_is_a_value_that_occurred():
    assert lower_median([4, 1, 3, 2]) == 2
    assert lower_median([5, 1, 3]) == 3


@pytest.mark.parametrize(("how", "expected"), [("mode", 7.0), ("median", 7.0), ("mean", 8.0)])
def test_aggregation(how, expected):
    assert aggregate([7, 9, 7, 9, 7, 9], how) == expected


def test_unknown_aggregation_names_those_known():
    with pytest.raises(UsageError, match="geometric") as error:
        aggregate([1.0], "geometric")
    assert "median" in str(error.value)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_aggregation_refuses_what_is_no_sample(values):
    with pytest.raises(ValueError, match="samples"):
        aggregate(values, "median")


def test_paired_effect_without_prior_is_the_textbook_t_test():
    baseline = np.array([100.0, 104.0, 99.0, 103.0, 101.0])
    candidate = np.array([103.0, 108.0, 101.0, 109.0, 103.0])
    effect = estimate(baseline, candidate, prior=NO_PRIOR, paired=True)
    reference = scipy_stats.ttest_rel(np.log(candidate), np.log(baseline))
    interval = reference.confidence_interval(0.95)
    assert effect.p_value == pytest.approx(reference.pvalue)
    assert effect.interval == pytest.approx((interval.low, interval.high))
    assert effect.method == "paired-t"


def test_unpaired_effect_without_prior_is_welch():
    baseline = np.array([10.0, 12.0, 11.0, 15.0])
    candidate = np.array([14.0, 13.0, 18.0, 17.0, 15.0, 19.0])
    effect = estimate(baseline, candidate, prior=NO_PRIOR, paired=False, scale=Scale.LINEAR)
    reference = scipy_stats.ttest_ind(candidate, baseline, equal_var=False)
    interval = reference.confidence_interval(0.95)
    assert effect.p_value == pytest.approx(reference.pvalue)
    assert effect.interval == pytest.approx((interval.low, interval.high))


def test_identical_pairs_have_no_effect_at_all():
    effect = estimate([5, 6, 7], [5, 6, 7], prior=Prior(0.1), paired=True)
    assert (effect.estimate, effect.interval, effect.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_no_scatter_and_a_difference_is_judged_by_the_prior():
    """All boots 292 against all boots 331: the interval has the width of what is known."""
    effect = estimate([292] * 3, [331] * 3, prior=Prior(0.0002), paired=True)
    low, high = np.exp(effect.interval)
    assert low < 331 / 292 < high
    assert 0 < high - low < 0.001
    assert effect.p_value < 1e-9


def test_one_boot_is_judged_by_the_prior_alone_and_not_at_all_without():
    known = estimate([1000], [1010], prior=Prior(0.0002, 6), paired=True)
    assert known.df == 6
    assert known.interval[0] > 0
    unknown = estimate([1000], [1010], prior=NO_PRIOR, paired=True)
    assert unknown.p_value == 1.0
    assert unknown.interval == (-np.inf, np.inf)


def test_a_sample_that_contradicts_the_prior_overrules_it():
    """One boot of three that jumps by 2.5 % must not be believed to scatter by 0.02 %."""
    effect = estimate([1000] * 3, [1000, 1025, 1000], prior=Prior(0.0002), paired=True)
    assert effect.method == "paired-t"
    assert effect.df == 2
    assert effect.p_value > 0.3


@pytest.mark.parametrize(
    ("baseline", "candidate", "paired"), [([], [1], False), ([1, 2], [1], True), ([0], [1], False)]
)
def test_effect_refuses_what_it_cannot_compare(baseline, candidate, paired):
    with pytest.raises(ValueError, match="need"):
        estimate(baseline, candidate, prior=NO_PRIOR, paired=paired)


def test_benjamini_hochberg_by_hand():
    assert adjust([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert adjust([]).size == 0


def test_clusters_find_the_states_of_a_tipping_point():
    values = [1000, 1001, 1040, 1000, 1041]
    assert clusters(values, 0.01) == (1000.0, 1040.0)
    assert clusters(values, 0.1) == (1001.0,)
    assert clusters([], 0.1) == ()
    assert clusters([0, 0, 3], 0.01) == (0.0, 3.0)


def test_overlap_share_counts_the_other_arms_operations():
    assert overlap_share(100, [100, 100.4, 101, 150], 0.005) == 0.5
    assert overlap_share(100, [], 0.005) == 0.0


def test_separation_is_exact_and_bounded_by_the_number_of_assignments():
    assert separation_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert separation_p([1, 2, 3], [4, 5, 6]) == pytest.approx(0.1)
    assert separation_p([3, 3], [3, 3]) == 1.0


def test_boots_needed_shrinks_the_interval_below_the_distance():
    random = np.random.default_rng(1)
    baseline = 1000 * np.exp(random.normal(0, 0.01, 5))
    candidate = 1020 * np.exp(random.normal(0, 0.01, 5))
    effect = estimate(baseline, candidate, prior=Prior(0.01), paired=True)
    edges = (-0.015, 0.015)
    needed = boots_needed(effect, edges)
    assert needed is not None
    distance = min(abs(effect.estimate - edge) for edge in edges)
    t = scipy_stats.t.ppf(0.975, effect.df + needed - effect.pairs)
    assert t * effect.spread / np.sqrt(needed) < distance
    t = scipy_stats.t.ppf(0.975, effect.df + needed - 1 - effect.pairs)
    assert needed == effect.pairs + 1 or t * effect.spread / np.sqrt(needed - 1) >= distance


def test_boots_needed_is_unknown_on_the_edge():
    effect = estimate([1000, 1000, 1000], [1010, 1011, 1009], prior=Prior(0.01), paired=True)
    assert boots_needed(effect, (-effect.estimate, effect.estimate)) is None
