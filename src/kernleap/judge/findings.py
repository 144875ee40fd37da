"""The decision on each metric of a candidate arm (docs/statistics.md, *Decision rules*)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from kernleap.judge import events
from kernleap.judge.arms import ArmData
from kernleap.judge.compare import Compared, compare
from kernleap.judge.explain import explain
from kernleap.judge.policy import Policy
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.result import Comparison, Decision, Finding
from kernleap.stats import adjust, boots_needed, overlap_share, p_beyond, separation_p

LEVEL_TOLERANCE = 0.005
"""Relative distance at which two levels of a schedule-dependent form are one."""

Ruling = tuple[Decision, str]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A comparison with the data and the policy it is decided by.

    `p_value` is adjusted for the `family` of metrics compared.
    """

    item: Compared
    p_value: float
    family: int
    baseline: ArmData
    candidate: ArmData
    policy: Policy

    @property
    def settled(self) -> bool:
        """Whether the metric's form has a fixed schedule."""
        return self.policy.knowledge(self.item.metric).settled

    def events(self) -> tuple[tuple[events.EventTable, ...], tuple[events.EventTable, ...]]:
        """Event tables of the metric's region, one per boot, of both arms."""
        region = self.item.metric.region
        return events.tables(self.baseline, region), events.tables(self.candidate, region)


def find(
    metrics: Iterable[Metric], baseline: ArmData, candidate: ArmData, policy: Policy
) -> tuple[Finding, ...]:
    """Findings for every metric both arms measured, in the order of `metrics`."""
    compared = [c for m in metrics if (c := compare(m, baseline, candidate, policy)) is not None]
    families: dict[bool, list[Compared]] = {}
    for item in compared:
        families.setdefault(_is_named(item.metric, policy), []).append(item)
    judged = {
        item.metric.name: _finding(
            Case(item, float(p_value), len(family), baseline, candidate, policy)
        )
        for family in families.values()
        for item, p_value in zip(family, adjust([_p_value(c) for c in family]), strict=True)
    }
    return tuple(judged[item.metric.name] for item in compared)


def _is_named(metric: Metric, policy: Policy) -> bool:
    """Times that the policy names in advance are not corrected for all the others beside them."""
    return metric.grade is Grade.TIMED and policy.is_primary(metric)


def _p_value(item: Compared) -> float:
    """Of *no change*; for times of *no change worth a word*, since they have no exact zero."""
    if item.metric.grade is Grade.TIMED:
        return p_beyond(item.effect, item.edges)
    return item.effect.p_value


def _finding(case: Case) -> Finding:
    item = case.item
    decision, reason = _decide(case)
    more = None
    if decision is Decision.UNDECIDED and not item.beyond:
        needed = boots_needed(item.effect, item.edges)
        more = None if needed is None else max(1, needed - item.boots)
    witness = (
        None if decision is Decision.EQUIVALENT else explain(item, case.baseline, case.candidate)
    )
    return Finding(
        comparison=Comparison(
            metric=item.metric,
            arm=item.arm,
            baseline=item.baseline,
            candidate=item.candidate,
            ratio=item.ratio,
            interval=item.interval,
            confidence=item.effect.confidence,
            p_value=case.p_value,
            margin=item.margin,
            quality=item.quality,
        ),
        decision=decision,
        reason=reason,
        more_boots=more,
        functions=witness.functions if witness else (),
        explained_total=witness.total if witness else 0.0,
        events=witness.events if witness else (),
    )


def _decide(case: Case) -> Ruling:
    item = case.item
    if item.effect.method == "identical":
        return Decision.EQUIVALENT, f"identical in every {_word(item.metric)}"
    if not case.settled and item.boots < case.policy.min_boots:
        return Decision.UNDECIDED, (
            f"depends on the schedule: {item.boots} boots do not show its spread over seeds "
            f"(needs {case.policy.min_boots})"
        )
    if item.effect.df <= 0:
        return Decision.UNDECIDED, (
            f"{item.boots} trial of an arm says nothing of its scatter, and nothing is known of it "
            f"beforehand (needs {case.policy.min_boots})"
        )
    if item.inside:
        return Decision.EQUIVALENT, f"the interval lies within the margin of {item.margin:.2%}"
    if not item.beyond:
        return Decision.UNDECIDED, f"the interval crosses the margin of {item.margin:.2%}"
    return _beyond_margin(case)


def _word(metric: Metric) -> str:
    return "trial" if metric.grade is Grade.TIMED else "boot"


def _beyond_margin(case: Case) -> Ruling:
    item = case.item
    if case.p_value > case.policy.alpha:
        return Decision.UNDECIDED, (
            f"beyond the margin, but not beyond chance among {case.family} metrics "
            f"(p = {case.p_value:.2g})"
        )
    if item.metric.role is Role.BEHAVIOUR or item.metric.better is Better.NEITHER:
        if not case.settled:
            return _new_state(case)
        return Decision.BEHAVIOUR_CHANGED, (
            f"differs beyond the margin of {item.margin:.2%}"
            f"{'' if _whole_trials(item.metric) else ' under a fixed schedule'}"
        )
    return _settled_path(case) if case.settled else _scheduled_path(case)


def _whole_trials(metric: Metric) -> bool:
    """Whether trials are compared as they are, whatever happened in their operations."""
    return metric.grade is Grade.TIMED or metric.aggregation == "mean"


def _direction(item: Compared) -> Decision:
    longer = item.beyond > 0
    good = longer == (item.metric.better is Better.HIGHER)
    return Decision.BETTER if good else Decision.WORSE


def _settled_path(case: Case) -> Ruling:
    """A path under a fixed schedule: longer or shorter, if the same things happened.

    A mean over operations that are not alike has their events as part of its cost.
    """
    item = case.item
    if _whole_trials(item.metric):
        return _direction(item), f"the whole interval lies beyond the margin of {item.margin:.2%}"
    here, there = case.events()
    if events.changed(here, there):
        differs = events.describe(here[0].modal, there[0].modal)
        return Decision.BEHAVIOUR_CHANGED, f"other events per operation: {differs}"
    return _direction(item), f"the whole interval lies beyond the margin of {item.margin:.2%}"


def _scheduled_path(case: Case) -> Ruling:
    """A path through the fair scheduler: judged only between equal states."""
    item, policy = case.item, case.policy
    # The plays of a placement are draws around their mean, no levels of one path.
    if item.metric.grade is not Grade.PLACED and _same_levels(case):
        return Decision.UNDECIDED, (
            "both arms visit the same levels, only in other shares: tipping points of the scheduler"
        )
    here, there = case.events()
    matched = events.match(here, there, policy.behaviour.overlap, policy.min_boots)
    if matched is None and here and there:
        return _new_state(case)
    if matched is not None:
        moved = (matched.ratio > 1 + item.margin) - (matched.ratio < 1 / (1 + item.margin))
        if moved != item.beyond:
            return Decision.UNDECIDED, (
                "over operations with equal events the path did not move alike "
                f"(ratio {matched.ratio:.4f}): the share of scheduler states differs"
            )
    return _direction(item), (
        f"beyond the margin of {item.margin:.2%} over seeds, and over operations with equal events"
        if matched is not None
        else f"beyond the margin of {item.margin:.2%} over seeds"
    )


def _new_state(case: Case) -> Ruling:
    """Schedule-dependent behaviour: changed only if boots separate into states unseen before."""
    item, policy = case.item, case.policy
    rules = policy.behaviour
    if item.boots < rules.min_boots:
        return Decision.UNDECIDED, (
            f"behaves differently, but depends on the schedule: {item.boots} boots are too few "
            f"to tell (needs {rules.min_boots})"
        )
    chance = separation_p(item.baseline.values, item.candidate.values)
    if chance > policy.alpha:
        return Decision.UNDECIDED, f"the boots of both arms overlap (permutation p = {chance:.2g})"
    wide = 1 + policy.behaviour_margin(item.metric)
    low, high = item.interval
    if isfinite(item.ratio) and low <= wide and high >= 1 / wide:
        return Decision.UNDECIDED, (
            f"moves by no more than the factor {wide:g} that schedules may vary without a cause"
        )
    here, there = case.events()
    by_events = item.metric.quantity in events.EVENTS
    same = (
        events.shared_state(here, there, rules.overlap)
        if by_events and here and there
        else _same_levels(case)
    )
    if same:
        return Decision.UNDECIDED, (
            "both arms visit the same states, only in other shares: tipping points of the scheduler"
        )
    return Decision.BEHAVIOUR_CHANGED, (
        f"all boots differ beyond a factor of {wide:g}, in states the other arm never visits"
    )


def _same_levels(case: Case) -> bool:
    """Whether either arm's central value is a level of the other's operations."""
    item, name = case.item, case.item.metric.name
    there = overlap_share(item.baseline.median, case.candidate.operations(name), LEVEL_TOLERANCE)
    here = overlap_share(item.candidate.median, case.baseline.operations(name), LEVEL_TOLERANCE)
    return max(here, there) >= case.policy.behaviour.overlap
