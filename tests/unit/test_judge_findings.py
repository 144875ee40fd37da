"""Decisions on single metrics, one rule at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kernleap.judge import arms, judge
from kernleap.judge.compare import compare
from kernleap.judge.events import counts_events
from kernleap.judge.policy import Goal, load
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.result import Decision, VerdictDecision
from kernleap.model.trial import Samples
from kernleap.workload import metrics_for
from kernleap.workload.serving.region import TINY
from simulated import Boot, State, run_of

FUNCTIONS = ("entry_SYSCALL_64", "pipe_write")


def boots_of(region: str, *boots: list[State]) -> list[Boot]:
    made = []
    for states in boots:
        boot = Boot()
        boot.add(region, states, FUNCTIONS)
        made.append(boot)
    return made


def findings(region: str, baseline: list[Boot], candidate: list[Boot], **options):
    run = run_of({"baseline": baseline, "candidate": candidate}, regions=(region,), **options)
    return {
        finding.comparison.metric.quantity: finding
        for finding in judge(run, load()).findings["candidate"]
    }


def same(state: State, boots: int = 3) -> list[list[State]]:
    return [[state] * 20 for _ in range(boots)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (1130, Decision.WORSE),
        (870, Decision.BETTER),
        (1003, Decision.WORSE),
        (1000, Decision.EQUIVALENT),
    ],
)
def test_a_settled_path_is_decided_by_three_boots(path, expected):
    region = "syscall/1p"
    found = findings(
        region,
        boots_of(region, *same(State(1000))),
        boots_of(region, *same(State(path))),
    )["kernel_instructions"]
    assert found.decision is expected
    assert found.comparison.ratio == path / 1000
    low, high = found.comparison.interval
    assert low <= found.comparison.ratio <= high


def test_a_small_move_inside_the_margin_is_equivalent():
    region = "fork/1p"
    found = findings(
        region,
        boots_of(region, *same(State(100_000))),
        boots_of(region, *same(State(100_020))),
    )["kernel_instructions"]
    assert found.decision is Decision.EQUIVALENT
    assert found.comparison.ratio == pytest.approx(1.0002)


def test_one_boot_that_jumps_is_undecided_and_says_how_many_more_would_do():
    region = "mmap/1p"
    found = findings(
        region,
        boots_of(region, *same(State(1000))),
        boots_of(region, *same(State(1000), 2), [State(1025)] * 20),
    )["kernel_instructions"]
    assert found.decision is Decision.UNDECIDED
    assert found.comparison.quality == ("multi-modal",)
    assert found.comparison.candidate.modes == (1000.0, 1025.0)


def test_other_events_under_a_fixed_schedule_are_behaviour_not_a_longer_path():
    region = "pipe/2p-fifo"
    found = findings(
        region,
        boots_of(region, *same(State(4000, 2, 2))),
        boots_of(region, *same(State(5500, 3, 2))),
    )
    path = found["kernel_instructions"]
    assert path.decision is Decision.BEHAVIOUR_CHANGED
    assert "schedules 2 -> 3" in path.reason
    assert path.events == (("schedules", 2.0, 3.0), ("wakeups", 2.0, 2.0))
    assert found["schedules"].decision is Decision.BEHAVIOUR_CHANGED
    assert found["wakeups"].decision is Decision.EQUIVALENT


def test_events_that_were_none_have_no_finite_ratio_but_a_decision():
    region = "pipe/1p"
    found = findings(
        region,
        boots_of(region, *same(State(4000, 0, 1))),
        boots_of(region, *same(State(4000, 1, 1))),
    )["schedules"]
    assert found.decision is Decision.BEHAVIOUR_CHANGED
    assert math.isinf(found.comparison.ratio)
    assert "zero baseline" in found.comparison.quality


def test_shares_of_common_scheduler_states_are_seen_through():
    """All boots of one arm are mostly in one state, all of the other in the other: undecided."""
    region = "futex/2p-batch"
    low, high = State(3000, 2, 2), State(4110, 4, 2)
    found = findings(
        region,
        boots_of(region, *[[low] * 17 + [high] * 3] * 6),
        boots_of(region, *[[low] * 3 + [high] * 17] * 6),
    )
    assert found["kernel_instructions"].comparison.ratio == 1.37
    for finding in found.values():
        assert finding.decision in {Decision.UNDECIDED, Decision.EQUIVALENT}
    assert "shares" in found["kernel_instructions"].reason


def test_a_scheduled_path_is_worse_only_if_it_is_at_equal_events():
    region = "pipe/2p-batch"
    dear = findings(
        region,
        boots_of(region, *same(State(4000, 2, 2), 5)),
        boots_of(region, *same(State(4600, 2, 2), 5)),
    )["kernel_instructions"]
    assert dear.decision is Decision.WORSE
    assert "equal events" in dear.reason
    busy = findings(
        region,
        boots_of(region, *same(State(4000, 2, 2), 5)),
        boots_of(region, *same(State(4600, 3, 2), 5)),
    )["kernel_instructions"]
    assert busy.decision is Decision.UNDECIDED
    changed = findings(
        region,
        boots_of(region, *same(State(4000, 2, 2), 5)),
        boots_of(region, *same(State(8000, 8, 6), 5)),
    )["kernel_instructions"]
    assert changed.decision is Decision.BEHAVIOUR_CHANGED


def test_a_flip_of_every_boot_is_not_called_in_schedule_dependent_forms():
    """37 % by one shifted byte of command line: within what such forms do without a cause."""
    for form in ("2p-batch", "2p-other"):
        region = f"futex/{form}"
        found = findings(
            region,
            boots_of(region, *same(State(3000, 2, 2), 8)),
            boots_of(region, *same(State(4110, 3, 2), 8)),
        )
        assert found["kernel_instructions"].decision is Decision.UNDECIDED


def test_behaviour_is_never_better_or_worse_and_needs_boots():
    region = "futex/2p-other"
    few = findings(
        region,
        boots_of(region, *same(State(3000, 2, 2), 3)),
        boots_of(region, *same(State(12_000, 9, 8), 3)),
    )
    assert {f.decision for f in few.values()} == {Decision.UNDECIDED}
    many = findings(
        region,
        boots_of(region, *same(State(3000, 2, 2), 6)),
        boots_of(region, *same(State(12_000, 9, 8), 6)),
    )
    assert {f.decision for f in many.values()} == {Decision.BEHAVIOUR_CHANGED}


def test_boots_with_other_seeds_are_compared_unpaired_and_say_so():
    region = "syscall/1p"
    found = findings(
        region,
        boots_of(region, *same(State(1000))),
        boots_of(region, *same(State(1100))),
        same_seeds=False,
    )["kernel_instructions"]
    assert found.decision is Decision.WORSE
    assert "unpaired" in found.comparison.quality


def test_a_lost_boot_leaves_the_common_blocks_paired():
    region = "syscall/1p"
    candidate: list[Boot | None] = [*boots_of(region, *same(State(1100), 4))]
    candidate[1] = None
    run = run_of(
        {"baseline": boots_of(region, *same(State(1000), 4)), "candidate": candidate},
        regions=(region,),
    )
    judgement = judge(run, load())
    found = judgement.findings["candidate"][0]
    assert found.decision is Decision.WORSE
    assert "paired on 3 common blocks" in found.comparison.quality
    assert judgement.failures == (("candidate-1", "panicked", "Kernel panic - not syncing"),)
    assert any("1 of 4 boots are missing" in text for text in judgement.warnings)


def test_one_boot_decides_settled_paths_and_says_it_was_one():
    region, other = "syscall/1p", "pipe/2p-batch"
    arms = {}
    for name, factor in (("baseline", 1), ("candidate", 2)):
        boot = Boot()
        boot.add(region, [State(1000 * factor)] * 20, FUNCTIONS)
        boot.add(other, [State(4000 * factor, 2, 2)] * 20, FUNCTIONS)
        arms[name] = [boot]
    found = judge(run_of(arms, regions=(region, other)), load()).findings["candidate"]
    decisions = {f.comparison.metric.name: f.decision for f in found}
    assert decisions[f"{region}/kernel_instructions"] is Decision.WORSE
    assert decisions[f"{other}/kernel_instructions"] is Decision.UNDECIDED
    assert "single boot" in found[0].comparison.quality


@pytest.mark.parametrize(
    ("quantity", "grade", "events"),
    [
        ("wakeups", Grade.COUNTED, True),
        ("wakeups_per_token", Grade.COUNTED, True),
        ("wakeups_of_rest_per_token", Grade.COUNTED, True),
        ("wakeups_per_token", Grade.TIMED, False),
        ("kernel_instructions_of_server_per_token", Grade.COUNTED, False),
        ("tokens_per_second", Grade.COUNTED, False),
    ],
)
def test_which_metrics_count_events(quantity, grade, events):
    metric = Metric(f"w/f/{quantity}", "u", Better.NEITHER, grade, Role.BEHAVIOUR, "mean")
    assert counts_events(metric) == events


def test_a_rare_event_of_a_token_is_no_change_of_behaviour_for_a_large_ratio():
    """Two of 100 tokens instead of one: nothing, though the ratio is 2."""
    name = "serving/llama.cpp-tiny/faults_of_rest_per_token"
    metric = Metric(name, "events/token", Better.NEITHER, Grade.COUNTED, Role.BEHAVIOUR, "mean")
    data = []
    for arm, rate in (("baseline", 0.01), ("candidate", 0.02)):
        boots = [
            arms.Boot(f"{arm}{n}", n, n, {name: np.array([rate + 0.0001 * n])}, {})
            for n in range(3)
        ]
        data.append(arms.ArmData(arm, tuple(boots)))
    compared = compare(metric, *data, load())
    assert compared is not None
    assert not compared.beyond


@pytest.mark.parametrize(
    ("aggregation", "decision"),
    [("mode", Decision.BEHAVIOUR_CHANGED), ("mean", Decision.BETTER)],
)
def test_events_are_part_of_the_cost_only_where_operations_are_not_alike(aggregation, decision):
    run = run_of(
        {
            "baseline": boots_of("pipe/2p-fifo", *same(State(6000, 4, 2))),
            "candidate": boots_of("pipe/2p-fifo", *same(State(4000, 2, 2))),
        },
        regions=("pipe/2p-fifo",),
    )
    (part,) = run.plan.parts
    metrics = tuple(replace(m, aggregation=aggregation) for m in part.metrics[:1])
    plan = replace(run.plan, parts=(replace(part, metrics=metrics),))
    (finding,) = judge(replace(run, plan=plan), load()).findings["candidate"]
    assert finding.decision is decision


def test_a_token_that_three_seeds_leave_open_does_not_block_a_gate():
    """A gain is not excluded, so a rollout is open; what a gate guards has not got worse."""
    name = "serving/llama.cpp-tiny/kernel_instructions_per_token"
    (metric,) = (m for m in metrics_for([TINY]) if m.name == name)
    arms_ = {}
    for arm, values in (("baseline", (101e3, 108e3, 104e3)), ("candidate", (106e3, 101e3, 107e3))):
        arms_[arm] = boots_of("pipe/1p", *same(State(4000)))
        for boot, value in zip(arms_[arm], values, strict=True):
            boot.samples.append(Samples(name, metric.unit, np.array([value])))
    run = run_of(arms_, regions=("pipe/1p",))
    (part,) = run.plan.parts
    plan = replace(run.plan, parts=(replace(part, metrics=(*part.metrics, metric)),))
    run = replace(run, plan=plan)
    found = judge(run, load())
    by_name = {f.comparison.metric.name: f for f in found.findings["candidate"]}
    assert by_name[name].decision is Decision.UNDECIDED
    assert found.verdicts["candidate"].decision is VerdictDecision.UNDECIDED
    assert [r.rule for r in found.verdicts["candidate"].reasons] == ["gain-open"]
    gate = replace(load(), goal=Goal.GATE)
    assert judge(run, gate).verdicts["candidate"].decision is VerdictDecision.ADOPT
