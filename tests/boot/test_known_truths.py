"""Known truths, and changes that are none: the right sign, the right functions, or nothing.

One run serves all of them: one kernel as it is, and the same kernel under settings whose
effect is known from its source, each over the same three seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kernleap.judge import Judgement
from kernleap.model.metric import Role
from kernleap.model.result import Decision, Finding
from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus
from lab_runs import judge_plan, plan_of

pytestmark = [pytest.mark.boot, pytest.mark.network, pytest.mark.slow]

KERNEL = "debian:7.2"
SEEDS = 3


@dataclass(frozen=True)
class Truth:
    """A setting, what it does to which paths, and which function has to be named for it."""

    modifier: str
    decision: Decision
    paths: tuple[str, ...]
    function: str
    untouched: tuple[str, ...] = ()


TRUTHS = (
    Truth(
        "+cmdline:mitigations=off",
        Decision.BETTER,
        ("syscall-getppid/1p", "pipe/1p", "unix-stream/1p", "tcp-1b/1p", "futex/1p"),
        "srso_alias_safe_ret",
    ),
    # Debian builds with it on; pipes and futexes allocate nothing on these paths.
    Truth(
        "+cmdline:init_on_alloc=0",
        Decision.BETTER,
        ("unix-stream/1p", "unix-stream/2p-fifo", "tcp-1b/1p"),
        "memset_orig",
        untouched=("syscall-getppid/1p", "pipe/1p", "pipe/2p-fifo", "futex/1p"),
    ),
    Truth(
        "+cmdline:audit=1",
        Decision.WORSE,
        ("syscall-getppid/1p", "pipe/1p", "unix-stream/1p", "tcp-1b/1p", "futex/1p"),
        "__audit_syscall_entry",
    ),
    Truth(
        "+cmdline:randomize_kstack_offset=off",
        Decision.BETTER,
        ("syscall-getppid/1p", "pipe/1p", "futex/2p-fifo"),
        "prandom_u32_state",
    ),
    Truth(
        "+cmdline:hardened_usercopy=off",
        Decision.BETTER,
        ("unix-stream/1p", "tcp-1b/1p", "unix-stream/2p-fifo"),
        "__check_object_size",
        untouched=("syscall-getppid/1p", "futex/1p"),
    ),
    Truth(
        "+sysctl:net.ipv4.tcp_timestamps=0",
        Decision.BETTER,
        ("tcp-1b/1p", "tcp-1b/2p-fifo"),
        "tcp_established_options",
        untouched=("syscall-getppid/1p", "pipe/1p", "unix-stream/1p", "futex/2p-fifo"),
    ),
)
NOTHING = ("+cmdline:kernleap.unknown=1", "+sysctl:vm.swappiness=10")


@pytest.fixture(scope="module")
def judged() -> tuple[RunData, Judgement]:
    refs = [KERNEL, *(KERNEL + t.modifier for t in TRUTHS), *(KERNEL + m for m in NOTHING)]
    run, judgement = judge_plan(plan_of(refs, boots=SEEDS))
    assert [(r.trial.arm, r.reason) for r in run.records if r.status is not TrialStatus.OK] == []
    return run, judgement


def findings_of(judged: tuple[RunData, Judgement], modifier: str) -> dict[str, Finding]:
    """By metric's name."""
    return {f.comparison.metric.name: f for f in judged[1].findings[KERNEL + modifier]}


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.modifier)
def test_a_known_truth_has_the_right_sign_and_names_its_function(judged, truth):
    findings = findings_of(judged, truth.modifier)
    for path in truth.paths:
        finding = findings[f"{path}/kernel_instructions"]
        assert finding.decision is truth.decision, (path, finding.reason)
        named = {f.name: f.delta for f in finding.functions}
        assert truth.function in named, (path, list(named)[:5])
        assert (named[truth.function] < 0) == (truth.decision is Decision.BETTER)


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.modifier)
def test_the_functions_of_a_truth_add_up_to_it_exactly(judged, truth):
    for path in truth.paths:
        finding = findings_of(judged, truth.modifier)[f"{path}/kernel_instructions"]
        of_arms = finding.comparison.candidate.median - finding.comparison.baseline.median
        assert sum(f.delta for f in finding.functions) == of_arms
        assert finding.explained_total == of_arms


@pytest.mark.parametrize("truth", [t for t in TRUTHS if t.untouched], ids=lambda t: t.modifier)
def test_a_truth_leaves_alone_what_it_does_not_touch(judged, truth):
    findings = findings_of(judged, truth.modifier)
    for path in truth.untouched:
        comparison = findings[f"{path}/kernel_instructions"].comparison
        assert comparison.candidate.values == comparison.baseline.values, path


@pytest.mark.parametrize("modifier", NOTHING)
def test_a_change_that_touches_nothing_moves_nothing_in_any_form(judged, modifier):
    for name, finding in findings_of(judged, modifier).items():
        assert finding.decision in (Decision.EQUIVALENT, Decision.UNDECIDED), (name, finding)
        if finding.comparison.metric.role is Role.PATH:
            assert finding.decision is Decision.EQUIVALENT, (name, finding.reason)


def test_no_form_is_without_a_finding(judged):
    forms = {f.comparison.metric.form for f in judged[1].findings[KERNEL + NOTHING[0]]}
    assert forms == {"1p", "2p-fifo", "2p-batch", "2p-other"}
