"""The verdict on a candidate: rules of the policy applied to its findings.

Rules, in order; the first that applies decides, and all that apply are given as reasons:

`infrastructure`  too few good boots where enough were planned: *undecided*, no numbers
`min-boots`       fewer boots planned than the policy asks for: *undecided*
`no-evidence`     no guarded or primary metric was measured: *undecided*
a constraint      (named by its key, `lifecycle.longterm`) is broken: *reject*
`guard`           a guarded metric is worse by more than the guard margin: *reject*
`behaviour`       a guarded path is longer because events changed: as the policy says
`guard-open`      a guarded path may be worse by more than the guard margin: *undecided*
`times-open`      a guarded time is not shown to be no worse: *undecided* instead of *adopt*
a constraint      is not known to be met: as the policy says; about money: *hold* if broken
`gain`            a primary metric is better by the minimum gain or more: *adopt* (rollout)
`gate`            nothing that is guarded got worse: *adopt* (gate), that is, passed
`gain-open`       no gain is shown, but one is not excluded: *undecided* (rollout)
`no-gain`         nothing measured is worth a rollout: *hold* (rollout)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from kernleap.judge.constraints import Outcome
from kernleap.judge.policy import Goal, Policy
from kernleap.model.errors import Exit
from kernleap.model.metric import Better, Grade, Role
from kernleap.model.result import Decision, Finding, Reason, Verdict, VerdictDecision

SHORTFALL = frozenset({"infrastructure"})
_EXITS = {
    VerdictDecision.ADOPT: Exit.OK,
    VerdictDecision.HOLD: Exit.HOLD,
    VerdictDecision.REJECT: Exit.REJECT,
    VerdictDecision.UNDECIDED: Exit.UNDECIDED,
}
_WORST_FIRST = (Exit.INFRASTRUCTURE, Exit.REJECT, Exit.UNDECIDED, Exit.HOLD, Exit.OK)


def exit_code(verdicts: Mapping[str, Verdict] | Iterable[Verdict]) -> Exit:
    """The exit code of a command that gave these verdicts: that of the worst.

    From worst: infrastructure (20), reject (11), undecided (12), hold (10), adopt or gate
    passed (0). Without any verdict: infrastructure.
    """
    items = verdicts.values() if isinstance(verdicts, Mapping) else verdicts
    codes = {
        Exit.INFRASTRUCTURE
        if any(reason.rule in SHORTFALL for reason in verdict.reasons)
        else _EXITS[verdict.decision]
        for verdict in items
    }
    return next((code for code in _WORST_FIRST if code in codes), Exit.INFRASTRUCTURE)


def shortfall(arm: str, policy: Policy, text: str) -> Verdict:
    """The verdict where too few boots ended well."""
    return Verdict(
        arm=arm,
        decision=VerdictDecision.UNDECIDED,
        reasons=(Reason("infrastructure", text, decision=VerdictDecision.UNDECIDED),),
        policy=policy.name,
    )


def decide(
    arm: str,
    findings: tuple[Finding, ...],
    policy: Policy,
    planned: int,
    constraints: tuple[Outcome, ...] = (),
    *,
    word: str = "boot",
) -> Verdict:
    """Apply the policy's rules.

    Args:
        arm: the candidate arm.
        findings: all its findings.
        policy: the policy.
        planned: boots planned for the smaller of the two arms.
        constraints: how the candidate stands to the policy's constraints.
        word: what a trial is called.
    """
    guarded = [f for f in findings if policy.is_guarded(f.comparison.metric)]
    primary = [f for f in findings if policy.is_primary(f.comparison.metric)]
    broken, doubtful = _constraints(constraints, policy)
    if (open_times := _times_open(guarded, policy)) is not None:
        doubtful.insert(0, open_times)
    goal = [ruling for ruling in _goal(primary, guarded, policy) if ruling is not None]
    # A doubt stands in the way of adopting; it does not make a *hold* uncertain.
    adopts = bool(goal) and goal[0][0] is VerdictDecision.ADOPT
    rulings = [
        _min_boots(planned, policy, word),
        _evidence(guarded, primary),
        *broken,
        _guard(guarded, policy),
        _behaviour(guarded, policy),
        _guard_open(guarded, policy),
        *(doubtful + goal if adopts else goal + doubtful),
    ]
    measured = {finding.comparison.metric.grade for finding in findings}
    applied = [ruling for ruling in rulings if ruling is not None]
    return Verdict(
        arm=arm,
        decision=applied[0][0],
        reasons=tuple(reason for _, reason in applied),
        policy=policy.name,
        grades=tuple(grade.value for grade in policy.grades if grade in measured),
    )


_Ruling = tuple[VerdictDecision, Reason]


def _ruling(
    decision: VerdictDecision, rule: str, text: str, findings: Iterable[Finding] = ()
) -> _Ruling:
    names = tuple(f.comparison.metric.name for f in findings)
    return decision, Reason(rule, text, names, decision)


def _harm(finding: Finding) -> tuple[float, float]:
    """The interval of candidate/baseline, turned so that above 1 is worse."""
    low, high = finding.comparison.interval
    if finding.comparison.metric.better is Better.HIGHER:
        return (1 / high if high else inf, 1 / low if low else inf)
    return low, high


def _size(finding: Finding) -> float:
    return abs(finding.comparison.ratio - 1)


def _largest(findings: Iterable[Finding]) -> str:
    worst = max(findings, key=_size)
    change = worst.comparison.ratio - 1
    return f"{worst.comparison.metric.name} {change:+.1%}"


def _count(findings: list[Finding]) -> str:
    return "1 metric" if len(findings) == 1 else f"{len(findings)} metrics"


def _constraints(
    outcomes: Iterable[Outcome], policy: Policy
) -> tuple[list[_Ruling], list[_Ruling]]:
    """Rulings of constraints: those that reject, and those that only stand in the way."""
    rulings = [
        (reason.decision, reason)
        for outcome in outcomes
        if (reason := outcome.reason(policy.on_unknown)) is not None and reason.decision is not None
    ]
    first = [r for r in rulings if r[0] is VerdictDecision.REJECT]
    return first, [r for r in rulings if r[0] is not VerdictDecision.REJECT]


def _min_boots(planned: int, policy: Policy, word: str) -> _Ruling | None:
    if planned >= policy.min_boots:
        return None
    return _ruling(
        VerdictDecision.UNDECIDED, "min-boots",
        f"{planned} {word}{'' if planned == 1 else 's'} per arm, and the policy asks for "
        f"{policy.min_boots}",
    )  # fmt: skip


def _evidence(guarded: list[Finding], primary: list[Finding]) -> _Ruling | None:
    if guarded or primary:
        return None
    return _ruling(
        VerdictDecision.UNDECIDED, "no-evidence",
        "no metric that the policy names was measured in both arms",
    )  # fmt: skip


def _guard(guarded: list[Finding], policy: Policy) -> _Ruling | None:
    worse = [
        f for f in guarded if f.decision is Decision.WORSE and _harm(f)[0] > 1 + policy.guard_margin
    ]
    if not worse:
        return None
    return _ruling(
        VerdictDecision.REJECT, "guard",
        f"{_count(worse)} worse by more than {policy.guard_margin:.2%}: {_largest(worse)}", worse,
    )  # fmt: skip


def _behaviour(guarded: list[Finding], policy: Policy) -> _Ruling | None:
    longer = [
        f
        for f in guarded
        if f.decision is Decision.BEHAVIOUR_CHANGED and _harm(f)[1] > 1 + policy.guard_margin
    ]
    if not longer or policy.on_behaviour_change is None:
        return None
    return _ruling(
        policy.on_behaviour_change, "behaviour",
        f"{_count(longer)} cost more because other events happen: {_largest(longer)}", longer,
    )  # fmt: skip


def _guard_open(guarded: list[Finding], policy: Policy) -> _Ruling | None:
    # A path through the fair scheduler stays open for want of seeds more often than not;
    # it can reject, but its silence does not block.
    unsettled = [
        f
        for f in guarded
        if f.comparison.metric.role is Role.PATH
        and f.decision in (Decision.UNDECIDED, Decision.WORSE)
        and _harm(f)[0] <= 1 + policy.guard_margin < _harm(f)[1]
    ]
    if not unsettled:
        return None
    return _ruling(
        VerdictDecision.UNDECIDED, "guard-open",
        f"{_count(unsettled)} may be worse by more than {policy.guard_margin:.2%}: "
        f"{_largest(unsettled)}", unsettled,
    )  # fmt: skip


def _times_open(guarded: list[Finding], policy: Policy) -> _Ruling | None:
    """Times that are not shown to be non-inferior: too noisy to say *no worse*."""
    unsettled = [
        f
        for f in guarded
        if f.comparison.metric.grade is Grade.TIMED
        and f.decision is not Decision.EQUIVALENT
        and _harm(f)[1] > 1 + max(policy.guard_margin, f.comparison.margin)
    ]
    if not unsettled:
        return None
    return _ruling(
        VerdictDecision.UNDECIDED, "times-open",
        f"{_count(unsettled)} not shown to be no worse: {_largest(unsettled)}", unsettled,
    )  # fmt: skip


def _goal(
    primary: list[Finding], guarded: list[Finding], policy: Policy
) -> tuple[_Ruling | None, ...]:
    if policy.goal is Goal.GATE:
        text = f"{_count(guarded)} guarded, none worse by more than {policy.guard_margin:.2%}"
        return (_ruling(VerdictDecision.ADOPT, "gate", text) if guarded else None,)
    least = 1 - policy.min_gain
    gains = [f for f in primary if f.decision is Decision.BETTER and _harm(f)[1] <= least]
    if gains:
        return (
            _ruling(
                VerdictDecision.ADOPT, "gain",
                f"{_count(gains)} better by {policy.min_gain:.1%} or more: {_largest(gains)}",
                gains,
            ),
        )  # fmt: skip
    possible = [
        f
        for f in primary
        if f.decision in (Decision.UNDECIDED, Decision.BETTER) and _harm(f)[0] < least
    ]
    if possible:
        return (
            _ruling(
                VerdictDecision.UNDECIDED, "gain-open",
                f"{_count(possible)} may be better by {policy.min_gain:.1%} or more", possible,
            ),
        )  # fmt: skip
    return (
        _ruling(
            VerdictDecision.HOLD, "no-gain",
            f"no primary metric is better by {policy.min_gain:.1%} or more",
        ),
    )  # fmt: skip
