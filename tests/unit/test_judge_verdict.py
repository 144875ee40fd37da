"""Verdicts: each rule of the policy, and the exit codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernleap.judge import exit_code, judge
from kernleap.judge.policy import Goal, load
from kernleap.model.errors import Exit
from kernleap.model.metric import Grade
from kernleap.model.result import VerdictDecision
from simulated import Boot, State, run_of
from timed_run import run_of as timed_run
from timed_run import timed

BASE = {"pipe/1p": State(4000), "tcp/1p": State(20_000), "pipe/2p-fifo": State(6000, 2, 2)}


def boots(states: dict[str, State], count: int = 3) -> list[Boot | None]:
    made: list[Boot | None] = []
    for _ in range(count):
        boot = Boot()
        for region, state in states.items():
            boot.add(region, [state] * 20, ("do_syscall_64", "pipe_write"))
        made.append(boot)
    return made


def verdict(candidate: dict[str, State], policy=None, count: int = 3):
    run = run_of(
        {"baseline": boots(BASE, count), "candidate": boots(BASE | candidate, count)},
        regions=tuple(BASE),
    )
    return judge(run, policy or load()).verdicts["candidate"]


GATE = replace(load(), goal=Goal.GATE, name="gate", guard_margin=0.005)


@pytest.mark.parametrize(
    ("candidate", "decision", "rule", "metrics"),
    [
        ({}, VerdictDecision.HOLD, "no-gain", ()),
        ({"pipe/1p": State(4800)}, VerdictDecision.REJECT, "guard",
         ("pipe/1p/kernel_instructions",)),
        ({"pipe/1p": State(3600)}, VerdictDecision.ADOPT, "gain",
         ("pipe/1p/kernel_instructions",)),
        ({"pipe/1p": State(3990)}, VerdictDecision.HOLD, "no-gain", ()),
        ({"pipe/1p": State(3600), "tcp/1p": State(21_000)}, VerdictDecision.REJECT, "guard",
         ("tcp/1p/kernel_instructions",)),
        ({"pipe/1p": State(3600), "tcp/1p": State(20_100)}, VerdictDecision.ADOPT, "gain",
         ("pipe/1p/kernel_instructions",)),
        ({"pipe/1p": State(3600), "pipe/2p-fifo": State(8000, 3, 2)}, VerdictDecision.HOLD,
         "behaviour", ("pipe/2p-fifo/kernel_instructions",)),
        ({"pipe/1p": State(4040)}, VerdictDecision.UNDECIDED, "guard-open",
         ("pipe/1p/kernel_instructions",)),
    ],
)  # fmt: skip
def test_rollout_rules(candidate, decision, rule, metrics):
    result = verdict(candidate)
    assert result.decision is decision
    assert (result.reasons[0].rule, result.reasons[0].metrics) == (rule, metrics)
    assert result.policy == "default"
    assert result.grades == ("counted",)


@pytest.mark.parametrize(
    ("candidate", "decision", "exit_"),
    [
        ({}, VerdictDecision.ADOPT, Exit.OK),
        ({"pipe/1p": State(3000)}, VerdictDecision.ADOPT, Exit.OK),
        ({"pipe/1p": State(4010)}, VerdictDecision.ADOPT, Exit.OK),
        ({"pipe/1p": State(4040)}, VerdictDecision.REJECT, Exit.REJECT),
        ({"pipe/1p": State(4020)}, VerdictDecision.UNDECIDED, Exit.UNDECIDED),
        ({"pipe/2p-fifo": State(8000, 3, 2)}, VerdictDecision.HOLD, Exit.HOLD),
    ],
)
def test_a_gate_passes_or_not(candidate, decision, exit_):
    result = verdict(candidate, GATE)
    assert result.decision is decision
    assert exit_code([result]) is exit_


def test_fewer_boots_planned_than_asked_for_is_undecided_but_has_findings():
    result = verdict({"pipe/1p": State(4800)}, count=2)
    assert result.decision is VerdictDecision.UNDECIDED
    assert [r.rule for r in result.reasons] == ["min-boots", "guard", "no-gain"]
    assert exit_code([result]) is Exit.UNDECIDED


def test_too_few_good_boots_give_no_numbers():
    candidate = boots(BASE)
    candidate[0] = None
    run = run_of({"baseline": boots(BASE), "candidate": candidate}, regions=tuple(BASE))
    judgement = judge(run, load())
    assert judgement.findings["candidate"] == ()
    result = judgement.verdicts["candidate"]
    assert result.decision is VerdictDecision.UNDECIDED
    assert result.reasons[0].rule == "infrastructure"
    assert "candidate: 2 of 3 boots" in result.reasons[0].text
    assert exit_code(judgement.verdicts) is Exit.INFRASTRUCTURE


def test_metrics_of_a_grade_the_policy_does_not_admit_carry_no_verdict():
    result = verdict({"pipe/1p": State(4800)}, replace(load(), grades=(Grade.TIMED,)))
    assert result.decision is VerdictDecision.UNDECIDED
    assert result.reasons[0].rule == "no-evidence"


def test_the_worst_of_several_candidates_ends_the_command():
    adopt, hold = verdict({"pipe/1p": State(3600)}), verdict({})
    reject = verdict({"pipe/1p": State(4800)})
    undecided = verdict({"pipe/1p": State(4040)})
    assert exit_code([adopt]) is Exit.OK
    assert exit_code([adopt, hold]) is Exit.HOLD
    assert exit_code([hold, undecided]) is Exit.UNDECIDED
    assert exit_code([undecided, reject, adopt]) is Exit.REJECT
    assert exit_code([]) is Exit.INFRASTRUCTURE


def test_the_noise_floor_comes_from_the_aa_arm_and_a_false_call_is_a_warning():
    quiet = run_of(
        {
            "baseline": boots(BASE),
            "aa": boots(BASE | {"pipe/2p-fifo": State(6001, 2, 2)}),
            "candidate": boots(BASE),
        },
        regions=tuple(BASE),
    )
    judgement = judge(quiet, load())
    assert set(judgement.findings) == set(judgement.verdicts) == {"candidate"}
    assert judgement.noise is not None
    assert judgement.noise.largest["path"] == pytest.approx(1 / 6000)
    assert judgement.noise.metrics == 9
    assert not judgement.noise.false_calls
    assert not judgement.warnings

    noisy = run_of(
        {"baseline": boots(BASE), "aa": boots(BASE | {"pipe/1p": State(5000)})},
        regions=tuple(BASE),
    )
    judgement = judge(noisy, load())
    assert judgement.noise is not None
    assert judgement.noise.false_calls == ("pipe/1p/kernel_instructions",)
    assert "not to be trusted" in judgement.warnings[0]


CPU, TAIL = timed("cpu_time_per_token"), timed("ttft_p99")
CALM = [100.0, 100.2, 99.9, 100.1, 99.8, 100.0, 100.1, 99.9, 100.2, 99.8]
WILD = [100.0, 140.0, 70.0, 120.0, 90.0, 150.0, 60.0, 110.0, 80.0, 130.0]


@pytest.mark.parametrize(
    ("tail", "decision", "rule"),
    [
        (CALM, VerdictDecision.ADOPT, "gain"),
        (WILD, VerdictDecision.UNDECIDED, "times-open"),
        ([1.3 * value for value in CALM], VerdictDecision.REJECT, "guard"),
    ],
)
def test_a_gain_is_not_adopted_while_a_guarded_time_may_be_worse(tail, decision, rule):
    faster = [0.9 * value for value in CALM]
    run = timed_run({"7.0": {CPU: CALM, TAIL: CALM}, "7.2": {CPU: faster, TAIL: tail}})
    result = judge(run, load()).verdicts["7.2"]
    assert (result.decision, result.reasons[0].rule) == (decision, rule)


def test_a_noisy_tail_does_not_make_a_hold_uncertain():
    run = timed_run({"7.0": {CPU: CALM, TAIL: CALM}, "7.2": {CPU: CALM, TAIL: WILD}})
    assert judge(run, load()).verdicts["7.2"].decision is VerdictDecision.HOLD
