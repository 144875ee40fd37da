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
