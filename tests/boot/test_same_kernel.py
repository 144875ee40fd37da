"""One kernel against itself: exactly equal seed by seed, and nothing is ever called."""

from __future__ import annotations

import numpy as np
import pytest

from kernleap.model.result import Decision
from kernleap.model.trial import TrialStatus
from lab_runs import judge_plan, plan_of, run_trial

pytestmark = [pytest.mark.boot, pytest.mark.network, pytest.mark.slow]

KERNEL = "debian:7.2"


@pytest.fixture(scope="module")
def judged():
    return judge_plan(plan_of([KERNEL, KERNEL], boots=3, suite="micro"))


def test_every_sample_of_every_metric_is_equal_seed_by_seed(judged):
    run, _ = judged
    by_seed = {}
    for record in run.records:
        assert record.status is TrialStatus.OK, record.reason
        by_seed.setdefault(record.trial.seed, []).append(record)
    for first, second in by_seed.values():
        assert len(first.samples) > 500
        for a, b in zip(first.samples, second.samples, strict=True):
            assert a.metric == b.metric
            assert np.array_equal(a.values, b.values), a.metric
        assert first.profiles == second.profiles


def test_nothing_is_called_better_or_worse(judged):
    _, judgement = judged
    (findings,) = judgement.findings.values()
    assert {f.decision for f in findings} == {Decision.EQUIVALENT}
    assert {(f.comparison.ratio, f.comparison.interval) for f in findings} == {(1.0, (1.0, 1.0))}


def test_one_process_paths_spread_by_at_most_a_fiftieth_of_a_percent_over_seeds(judged):
    _, judgement = judged
    (findings,) = judgement.findings.values()
    wide = {
        f.comparison.metric.name: f.comparison.baseline.spread
        for f in findings
        if f.comparison.metric.form == "1p"
        and f.comparison.metric.quantity == "kernel_instructions"
        and f.comparison.baseline.spread > 0.0002
    }
    assert wide == {}


def test_another_seed_is_another_boot():
    plan = plan_of([KERNEL, KERNEL], boots=2, globs=["tcp-1b"])
    one, two = (run_trial(plan, t) for t in plan.trials[::2])
    assert one.trial.seed != two.trial.seed
    assert any(
        not np.array_equal(a.values, b.values)
        for a, b in zip(one.samples, two.samples, strict=True)
    )
