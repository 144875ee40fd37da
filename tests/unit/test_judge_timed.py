"""Judging times: no scatter is known beforehand, no levels, and noise has a name."""

from __future__ import annotations

import numpy as np
import pytest

from kernleap.judge import judge
from kernleap.judge.policy import load
from kernleap.model.result import Decision, VerdictDecision
from kernleap.workload.serving.timed import TimedRegion
from timed_data import run_of

REGION = TimedRegion()
COST, CPU = (f"{REGION.name}/{q}_per_token" for q in ("kernel_time", "cpu_time"))


def values(seed: int, factor: float = 1.0, scatter: float = 0.01, n: int = 10) -> np.ndarray:
    return 50 * factor * np.exp(np.random.default_rng(seed).normal(0, scatter, n))


def decisions(baseline: dict, candidate: dict, **options):
    judgement = judge(run_of(REGION, baseline, candidate, **options), load())
    found = {f.comparison.metric.name: f for f in judgement.findings["candidate"]}
    return found, judgement


@pytest.mark.parametrize(
    ("factor", "scatter", "expected"),
    [
        (0.9, 0.01, Decision.BETTER),
        (1.1, 0.01, Decision.WORSE),
        (1.0, 0.003, Decision.EQUIVALENT),
        (1.0, 0.2, Decision.UNDECIDED),
    ],
)
def test_a_cost_per_token(factor, scatter, expected):
    found, _ = decisions({COST: values(1, scatter=scatter)}, {COST: values(2, factor, scatter)})
    assert found[COST].decision is expected
    assert found[COST].comparison.quality == ()
    if expected is Decision.UNDECIDED:
        assert found[COST].more_boots is None or found[COST].more_boots > 0


def test_the_point_shown_is_the_middle_of_its_interval():
    """By hand: pairs' ratios are 1.1, 1.1 and 1.331, so their geometric mean is 1.1^(5/3)."""
    candidate = np.array([110.0, 99.0, 266.2])
    found, _ = decisions({COST: np.array([100.0, 90.0, 200.0])}, {COST: candidate})
    comparison = found[COST].comparison
    low, high = comparison.interval
    assert comparison.ratio == pytest.approx(1.1 ** (5 / 3))
    assert comparison.ratio == pytest.approx((low * high) ** 0.5)
    assert comparison.candidate.median / comparison.baseline.median == pytest.approx(1.1)


def test_what_may_be_zero_is_compared_by_differences_around_their_mean():
    errors = f"{REGION.name}/error_ratio"
    found, _ = decisions(
        {errors: np.array([0.0, 2.0, 2.0, 4.0])}, {errors: np.array([1.0, 3.0, 3.0, 9.0])}
    )
    comparison = found[errors].comparison
    # Differences 1, 1, 1 and 5: mean 2, standard error 1, t of 3 degrees of freedom 3.182; they
    # are shown as shares of the baseline's median, which is 2.
    assert comparison.ratio == pytest.approx(2.0)
    assert comparison.interval == pytest.approx((2 - 3.182 / 2, 2 + 3.182 / 2), rel=1e-3)


def test_an_arm_of_zeros_is_compared_without_a_warning():
    zero = f"{REGION.name}/error_ratio"
    with np.errstate(all="raise"):
        found, _ = decisions({zero: np.zeros(5)}, {zero: np.full(5, 0.02)})
    assert found[zero].comparison.baseline.modes == (0.0,)
    assert "zero baseline" in found[zero].comparison.quality


def test_one_trial_says_nothing():
    found, judgement = decisions({COST: np.array([50.0])}, {COST: np.array([30.0])})
    assert found[COST].decision is Decision.UNDECIDED
    assert judgement.verdicts["candidate"].decision is VerdictDecision.UNDECIDED


def test_drift_that_hits_both_arms_of_a_block_is_not_an_effect():
    drift = np.linspace(1, 3, 10)
    found, _ = decisions({COST: values(1) * drift}, {COST: values(2, 0.9) * drift})
    assert found[COST].decision is Decision.BETTER


def test_a_kind_of_error_that_never_happened_is_not_compared():
    never, some = f"{REGION.name}/errors_reset", f"{REGION.name}/errors_http_429"
    found, _ = decisions(
        {COST: values(1), never: np.zeros(10), some: np.zeros(10)},
        {COST: values(2), never: np.zeros(10), some: np.arange(10.0)},
    )
    assert never not in found
    assert some in found


def test_a_gain_in_time_is_a_reason_to_adopt_and_its_grade_is_named():
    _, judgement = decisions(
        {COST: values(1), CPU: values(3)}, {COST: values(2, 0.8), CPU: values(4, 0.9)}
    )
    verdict = judgement.verdicts["candidate"]
    assert verdict.decision is VerdictDecision.ADOPT
    assert verdict.grades == ("timed",)


def test_a_tail_that_got_worse_rejects():
    tail = f"{REGION.name}/ttft_p99"
    _, judgement = decisions(
        {COST: values(1), tail: values(3)}, {COST: values(2, 0.8), tail: values(4, 1.3)}
    )
    assert judgement.verdicts["candidate"].decision is VerdictDecision.REJECT


def test_noise_of_the_machine_is_said():
    calm = {"steal_cpus": 0.0, "other_cpus": 0.01, "idle_server_cpus": 0.0, "driver_cpus": 0.2}
    run = ({COST: values(1)}, {COST: values(2)})
    assert decisions(*run, noise=calm)[1].warnings == ()
    loud = {**calm, "steal_cpus": 0.3, "other_cpus": 0.9, "driver_late_ms": 40.0}
    warnings = decisions(*run, noise=loud)[1].warnings
    assert any("hypervisor" in w and "20 of 20" in w for w in warnings)
    assert any("other programs" in w for w in warnings)
    assert any("driver was late" in w and "40.00" in w for w in warnings)


def test_nothing_is_called_where_nothing_differs():
    """Equal arms, 200 times: of these many claims at most a few may be made by chance."""
    called = 0
    for seed in range(200):
        names = [m.name for m in REGION.metrics() if m.quantity.endswith(("_p50", "_per_token"))]
        draw = [
            {name: values(1000 * seed + 2 * i + arm, scatter=0.03) for i, name in enumerate(names)}
            for arm in (0, 1)
        ]
        found, _ = decisions(*draw)
        called += any(
            f.decision in (Decision.BETTER, Decision.WORSE, Decision.BEHAVIOUR_CHANGED)
            for f in found.values()
        )
    assert called <= 4
