"""Constraints of a policy: what a candidate must be, whatever it measures.

A constraint is *met*, *broken* or *not known*. A broken one rejects (or holds, where it is about
money), one that is not known is as good as the policy's `on_unknown` says: nothing here ever
takes the absence of data for the absence of a problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum

from kernleap.judge.policy_constraints import Constraints
from kernleap.model.evidence import RISK_LEVELS, CandidateEvidence
from kernleap.model.result import Reason, VerdictDecision


class State(Enum):
    """How a candidate stands to one constraint."""

    MET = "met"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One constraint, held against one candidate."""

    rule: str
    """The key of the policy, `table.key`."""
    state: State
    text: str
    evidence: tuple[str, ...] = ()

    def reason(self, on_unknown: VerdictDecision | None) -> Reason | None:
        """The reason it gives, if it gives one."""
        if self.state is State.MET or (self.state is State.UNKNOWN and on_unknown is None):
            return None
        broken = VerdictDecision.HOLD if self.rule.startswith("cost.") else VerdictDecision.REJECT
        decision = broken if self.state is State.BROKEN else on_unknown
        return Reason(self.rule, self.text, decision=decision, evidence=self.evidence)


def check(wanted: Constraints, known: CandidateEvidence, today: date) -> tuple[Outcome, ...]:
    """Hold a candidate against every constraint that the policy sets, in the policy's order.

    Args:
        wanted: the constraints.
        known: what is known of the candidate.
        today: the day from which on support is counted.
    """
    return tuple(
        Outcome(
            rule,
            state,
            text,
            tuple(s for name in names if (s := known.sources.get(name))),
        )
        for rule, state, text, names in _outcomes(wanted, known, today)
    )


_Row = tuple[str, State, str, tuple[str, ...]]


def _outcomes(wanted: Constraints, known: CandidateEvidence, today: date) -> Iterator[_Row]:
    if wanted.signed_packages:
        yield _flag(
            "sovereignty.signed_packages", known.packages_signed, "packages_signed",
            "its packages came without a signature that was checked",
            "whether its packages were signed is not known",
        )  # fmt: skip
    if wanted.offline:
        unfetched = None if known.fetched is None else not known.fetched
        yield _flag(
            "sovereignty.offline", unfetched, "fetched",
            "parts of it were fetched from a network for this run",
            "whether anything was fetched for this run is not known",
        )  # fmt: skip
    if wanted.image_signed:
        yield _flag(
            "lifecycle.image_signed", known.image_signed, "image_signed",
            "its boot image carries no signature that covers it",
            "whether its boot image is signed is not known",
        )  # fmt: skip
    if wanted.supported_days is not None:
        yield _support(wanted.supported_days, known.supported_until, today)
    if wanted.longterm:
        yield _flag(
            "lifecycle.longterm", known.longterm, "longterm",
            "its series is no longterm one", "whether its series is a longterm one is not known",
        )  # fmt: skip
    yield from _at_most("extra_patches", wanted.max_extra_patches, known.extra_patches, "patch")
    yield from _at_most("open_cves", wanted.max_open_cves, known.open_cves, "open CVE")
    if wanted.max_risk is not None:
        yield _risk(wanted.max_risk, known.risk)
    if wanted.pays_back_days is not None:
        yield _pays_back(wanted.pays_back_days, known.pays_back_days)


def _flag(rule: str, value: bool | None, name: str, broken: str, unknown: str) -> _Row:
    if value is None:
        return rule, State.UNKNOWN, unknown, (name,)
    return (rule, State.MET, "", (name,)) if value else (rule, State.BROKEN, broken, (name,))


def _support(days: int, until: str | None, today: date) -> _Row:
    rule, names = "lifecycle.supported_days", ("supported_until",)
    if until is None:
        return rule, State.UNKNOWN, "until when it is supported is not known", names
    end = date.fromisoformat(until if len(until) > len("2026-11") else f"{until}-01")
    left = (end - today).days
    if left >= days:
        return rule, State.MET, "", names
    ended = f"ended {-left} days ago" if left < 0 else f"ends in {left} days"
    text = f"its support {ended} ({until}), and the policy asks for {days} days"
    return rule, State.BROKEN, text, names


def _at_most(key: str, limit: int | None, value: int | None, noun: str) -> Iterator[_Row]:
    if limit is None:
        return
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    rule, names = f"lifecycle.max_{key}", (key,)
    if value is None:
        yield rule, State.UNKNOWN, f"how many {plural} it has is not known", names
    elif value > limit:
        counted = f"1 {noun}" if value == 1 else f"{value} {plural}"
        yield rule, State.BROKEN, f"it has {counted}, and the policy allows {limit}", names
    else:
        yield rule, State.MET, "", names


def _risk(limit: str, level: str | None) -> _Row:
    rule, names = "lifecycle.max_risk", ("risk",)
    if level not in RISK_LEVELS:
        return rule, State.UNKNOWN, "its risk was not assessed", names
    if RISK_LEVELS.index(level) > RISK_LEVELS.index(limit):
        text = f"its risk is {level}, and the policy allows {limit} at most"
        return rule, State.BROKEN, text, names
    return rule, State.MET, "", names


def _pays_back(days: float, known: tuple[float, float, float] | None) -> _Row:
    rule, names = "cost.pays_back_days", ("pays_back_days",)
    if known is None:
        text = (
            "when it pays back is not known: nothing measured becomes money, or no fleet was given"
        )
        return rule, State.UNKNOWN, text, names
    low, middle, high = known
    span = f"{_days(middle)} ({_days(low)} to {_days(high)})"
    if high <= days:
        return rule, State.MET, "", names
    if low > days:
        text = f"it pays back after {span}, and the policy allows {days:g} days"
        return rule, State.BROKEN, text, names
    text = f"it may pay back after {span}: not surely within {days:g} days"
    return rule, State.UNKNOWN, text, names


def _days(value: float) -> str:
    return f"{value:.0f} days" if value < 36_500 else "never"
