"""Runs of the same arms are judged as one, and are never pooled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernleap.judge import judge
from kernleap.judge.join import join
from kernleap.judge.policy import load
from kernleap.model.errors import UsageError
from kernleap.model.run import RunData
from kernleap.report.view import view
from report_data import make


def counted(run_id: str = "counted") -> RunData:
    _, run = make(candidates=("7.2",), failures=False)
    return replace(run, plan=replace(run.plan, id=run_id))


def renamed(run: RunData, run_id: str, stem: str) -> RunData:
    """The same figures as another suite: every metric under another name."""
    names = {m.name: f"{stem}-{m.name}" for m in run.plan.metrics}
    parts = tuple(
        replace(
            part,
            suite=stem,
            metrics=tuple(replace(m, name=names[m.name]) for m in part.metrics),
        )
        for part in run.plan.parts
    )
    records = tuple(
        replace(r, samples=tuple(replace(s, metric=names[s.metric]) for s in r.samples))
        for r in run.records
    )
    return replace(run, plan=replace(run.plan, id=run_id, parts=parts), records=records)


def test_one_run_is_itself() -> None:
    run = counted()
    assert join([run]) is run


def test_findings_of_joined_runs_are_those_of_each() -> None:
    one = counted()
    other = renamed(one, "other", "second")
    both = join([one, other])
    assert both.plan.suites == (*one.plan.suites, "second")
    blocks = {(t.part, t.block) for t in both.plan.trials}
    assert len({block for _, block in blocks}) == len(blocks), "a block belongs to one part"
    assert len({t.id for t in both.plan.trials}) == len(both.plan.trials)
    policy = load()
    apart = judge(one, policy)
    together = judge(both, policy)
    (arm,) = apart.verdicts
    for finding in apart.findings[arm]:
        name = finding.comparison.metric.name
        same = [f for f in together.findings[arm] if f.comparison.metric.name == name]
        twin = [f for f in together.findings[arm] if f.comparison.metric.name == f"second-{name}"]
        assert [f.comparison.interval for f in (*same, *twin)] == [finding.comparison.interval] * 2


def test_the_report_says_how_to_reproduce_each() -> None:
    both = join([counted("a"), renamed(counted(), "b", "second")])
    shown = view(judge(both, load()), both)
    assert shown.run_id == "a+b"
    assert shown.reproduce == "kernleap reproduce a && kernleap reproduce b"


def test_other_arms_other_kernels_and_the_same_metrics_are_refused() -> None:
    one = counted()
    with pytest.raises(UsageError, match="never pooled"):
        join([one, counted("again")])
    _, three = make(candidates=("7.1", "7.2"), failures=False)
    with pytest.raises(UsageError, match="same arms"):
        join([one, renamed(three, "three", "second")])
    inputs = tuple(replace(i, kernel_sha256="0" * 64) for i in one.plan.inputs)
    swapped = renamed(replace(one, plan=replace(one.plan, inputs=inputs)), "swapped", "second")
    with pytest.raises(UsageError, match="another kernel"):
        join([one, swapped])
