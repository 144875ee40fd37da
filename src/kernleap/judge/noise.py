"""The noise floor: what comparing the baseline with itself shows in this very run."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from kernleap.judge.judgement import NoiseFloor
from kernleap.model.result import Decision, Finding

CALLS = frozenset({Decision.BETTER, Decision.WORSE, Decision.BEHAVIOUR_CHANGED})


def noise_floor(arm: str, findings: Iterable[Finding]) -> NoiseFloor:
    """The noise floor by role, and every call that must have been false.

    A ratio from a zero baseline has no size and is left out of `largest`.
    """
    found = tuple(findings)
    largest: dict[str, float] = {}
    for finding in found:
        size = abs(finding.comparison.ratio - 1)
        role = finding.comparison.metric.role.value
        if isfinite(size):
            largest[role] = max(largest.get(role, 0.0), size)
    false = tuple(f.comparison.metric.name for f in found if f.decision in CALLS)
    return NoiseFloor(arm, largest, len(found), false)
