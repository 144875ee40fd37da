"""Serving in the lab: exact where it claims to be, honest where seeds decide, true where known.

One run serves all of it: one kernel as it is, once more with a parameter that nobody reads, and
under two settings whose effect on every system call is known from their source, over three seeds.
The load is one stream, which seeds move by 0.3 %: with eight, as in the suite, they move a boot by
several per cent, and three of them rarely tell an effect of that size from chance.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernleap.judge import Judgement, judge
from kernleap.judge.policy import FormKnowledge
from kernleap.judge.policy import load as load_policy
from kernleap.model.metric import Role
from kernleap.model.result import Decision, Finding
from kernleap.model.run import RunData
from kernleap.model.trial import BY_SIDE, EVERYTHING, TrialRecord, TrialStatus
from kernleap.report.json import counts_sha256
from kernleap.workload.serving.region import SIDED, SIDES, TINY
from lab_runs import plan_of, run_plan, run_trial

pytestmark = [pytest.mark.boot, pytest.mark.network, pytest.mark.slow]

KERNEL = "debian:7.2"
NOTHING = KERNEL + "+cmdline:kernleap.unknown=1"
CHEAPER, DEARER = KERNEL + "+cmdline:mitigations=off", KERNEL + "+cmdline:audit=1"
ONE = replace(TINY, streams=1, requests=8)
SEEDS = 3
PER_TOKEN = f"{TINY.name}/kernel_instructions_per_token"


@pytest.fixture(scope="module")
def judged() -> tuple[RunData, Judgement]:
    refs = [KERNEL, NOTHING, CHEAPER, DEARER]
    run = run_plan(plan_of(refs, boots=SEEDS, suite="serving", instead=(ONE,)))
    assert [(r.trial.arm, r.reason) for r in run.records if r.status is not TrialStatus.OK] == []
    policy = load_policy(None)
    known = {"llama.cpp-tiny": FormKnowledge(scatter=0.004, events=0.1, settled=True)}
    return run, judge(run, replace(policy, forms={**policy.forms, **known}))


def findings_of(judged: tuple[RunData, Judgement], arm: str) -> dict[str, Finding]:
    return {f.comparison.metric.name: f for f in judged[1].findings[arm]}


def values_of(record: TrialRecord) -> dict[str, np.ndarray]:
    return {s.metric.removeprefix(f"{TINY.name}/"): s.values for s in record.samples}


def test_the_same_kernel_and_seed_give_the_same_counts_and_profiles(judged):
    first = judged[0].records[0]
    again = run_trial(judged[0].plan, first.trial)
    assert counts_sha256(again) == counts_sha256(first)
    assert again.profiles == first.profiles


def test_server_client_and_rest_add_up_in_every_token(judged):
    for record in judged[0].records:
        values = values_of(record)
        for quantity in SIDED:
            parts = [values[f"{quantity}_of_{side}_per_token"] for side in SIDES]
            assert min(part.min() for part in parts) >= 0
            assert np.array_equal(sum(parts), values[f"{quantity}_per_token"])
        # All that a server and a client do, and little else runs on this machine.
        assert values["user_instructions_of_rest_per_token"].max() == 0
        assert values["user_instructions_of_client_per_token"].min() > 0
        rest = values["kernel_instructions_of_rest_per_token"].sum()
        assert rest < 0.03 * values["kernel_instructions_per_token"].sum()
        # Each streamed token is a send of the server, and a read and a wait of the client.
        assert values["syscalls_of_client_per_token"].mean() > 1
        assert values["syscalls_of_server_per_token"].mean() > 1


def test_profiles_of_server_and_client_are_theirs(judged):
    for record in judged[0].records:
        values = values_of(record)
        profiles = {p.variant: p for p in record.profiles}
        for side, number in BY_SIDE.items():
            counted = values[f"kernel_instructions_of_{side}_per_token"].sum()
            assert sum(profiles[number].counts.values()) == counted
        for name, count in profiles[EVERYTHING].counts.items():
            assert sum(profiles[n].counts.get(name, 0) for n in BY_SIDE.values()) <= count
        # Only the driver, one thread, waits in epoll here; only the server's wait in futexes.
        server, client = (profiles[n].counts for n in BY_SIDE.values())
        assert "futex_wait" not in client
        assert server["futex_wait"] > 0
        assert any("epoll_wait" in name for name in client)
        assert not any("epoll_wait" in name for name in server)


@pytest.mark.parametrize(
    ("arm", "decision", "function"),
    [
        (CHEAPER, Decision.BETTER, "srso_alias_safe_ret"),
        (DEARER, Decision.WORSE, "__audit_syscall_entry"),
    ],
)
def test_a_truth_is_found_per_token_and_attributed(judged, arm, decision, function):
    finding = findings_of(judged, arm)[PER_TOKEN]
    assert finding.decision is decision, finding
    named = {f.name: f.delta for f in finding.functions}
    assert (named[function] < 0) == (decision is Decision.BETTER)
    of_arms = finding.comparison.candidate.median - finding.comparison.baseline.median
    assert finding.explained_total == pytest.approx(of_arms, rel=1e-9)
    assert sum(f.delta for f in finding.functions) == pytest.approx(of_arms, rel=1e-6)


def test_a_change_that_touches_nothing_is_not_called(judged):
    for name, finding in findings_of(judged, NOTHING).items():
        assert finding.decision in (Decision.EQUIVALENT, Decision.UNDECIDED), (name, finding)


def test_guest_time_is_behaviour(judged):
    for finding in judged[1].findings[CHEAPER]:
        metric = finding.comparison.metric
        if metric.quantity in TINY.timed():
            assert metric.role is Role.BEHAVIOUR
            assert finding.decision not in (Decision.BETTER, Decision.WORSE)
