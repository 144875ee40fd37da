"""What a change of placement comes from: the feature, or the rest of the release.

An arm whose kernel runs with a feature on is set against the same kernel with it off: what
differs between the two is the feature's doing, what remains between *off* and the baseline is
the release's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernleap.judge.arms import ArmData
from kernleap.judge.findings import find
from kernleap.judge.policy import Policy
from kernleap.model.feature import CACHE_AWARE, Feature
from kernleap.model.metric import Grade
from kernleap.model.result import Decision, Finding, Reason
from kernleap.model.run import RunPlan

_MOVED = (Decision.BETTER, Decision.WORSE)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What was found of one arm: a reason for its verdict, and a word for single findings."""

    reason: Reason
    words: dict[str, str]
    """By metric."""

    def annotate(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings, each with its word."""
        return tuple(
            replace(f, reason=f"{f.reason}; {word}")
            if (word := self.words.get(f.comparison.metric.name))
            else f
            for f in findings
        )


def off_arm(plan: RunPlan, on: str, feature: Feature = CACHE_AWARE) -> str | None:
    """The arm that runs the kernel of `on` with the feature off, if the plan has one."""
    ref = plan.arm(on).ref
    return next((a.name for a in plan.arms if feature.is_off_of(a.ref, ref)), None)


def attribute(
    plan: RunPlan,
    on: str,
    *,
    arms: Mapping[str, ArmData],
    findings: Mapping[str, tuple[Finding, ...]],
    policy: Policy,
    feature: Feature = CACHE_AWARE,
) -> Attribution | None:
    """Attribute the primary placement metrics of arm `on`; None where there is nothing to say.

    Args:
        plan: the plan of the run.
        on: a candidate arm.
        arms: good boots by arm.
        findings: by arm, against the baseline.
        policy: the policy.
        feature: the feature whose knob tells the arms apart.
    """
    off = off_arm(plan, on, feature)
    if off is None:
        return None
    moved = {
        f.comparison.metric: f
        for f in findings.get(on, ())
        if f.decision in _MOVED
        and f.comparison.metric.grade is Grade.PLACED
        and policy.is_primary(f.comparison.metric)
    }
    if not moved:
        return None
    against_off = {f.comparison.metric.name: f for f in find(moved, arms[off], arms[on], policy)}
    # The baseline may itself be the arm that is off; then the release has no part at all.
    left = {f.comparison.metric.name: f for f in findings.get(off, ())}
    knob = f"{feature.off.key}"
    words: dict[str, str] = {}
    for metric, finding in moved.items():
        inside, rest = against_off.get(metric.name), left.get(metric.name)
        if inside is None or (rest is None and off != plan.baseline.name):
            continue
        words[metric.name] = _word(finding, inside, rest, knob)
    if not words:
        return None
    mine = [name for name, word in words.items() if word.startswith("attributed to the knob")]
    text = f"{len(mine)} of {len(words)} placement metrics that moved are attributed to {knob}"
    if mine:
        best = against_off[mine[0]].comparison
        text += (
            f": on against off of the same kernel {mine[0]} goes {best.baseline.median:.2f} to "
            f"{best.candidate.median:.2f}, and off is equivalent to the baseline"
        )
    return Attribution(Reason("attribution", text, tuple(words)), words)


def _word(finding: Finding, inside: Finding, rest: Finding | None, knob: str) -> str:
    if inside.decision is finding.decision:
        if rest is None or rest.decision is Decision.EQUIVALENT:
            return f"attributed to the knob {knob}: with it off the same kernel places as before"
        if rest.decision is Decision.UNDECIDED:
            return f"the knob {knob} does it; whether the release has a part too is undecided"
        return f"in part the knob {knob}: with it off the same kernel is {rest.decision.value}"
    if inside.decision is Decision.EQUIVALENT:
        return f"the release's doing: the knob {knob} makes no difference"
    return f"not attributed: on against off of the same kernel is {inside.decision.value}"
