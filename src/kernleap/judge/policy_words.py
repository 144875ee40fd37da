"""A policy in words, and as data: what it asks, for someone who did not write it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from kernleap.judge.policy import Goal, Policy
from kernleap.judge.policy_constraints import Constraints


def describe(policy: Policy) -> tuple[str, ...]:
    """Sentences, in the order in which rules apply."""
    return tuple(_sentences(policy))


def as_data(policy: Policy) -> str:
    """The policy as JSON text, every default filled in."""
    return json.dumps(dataclasses.asdict(policy), indent=1, default=str) + "\n"


def _sentences(policy: Policy) -> Iterator[str]:
    grades = " or ".join(grade.value for grade in policy.grades)
    yield f"{policy.name}: rests on {grades} evidence, at least {policy.min_boots} boots an arm"
    yield from _constraints(policy.constraints)
    if policy.constraints.any:
        word = policy.on_unknown.value if policy.on_unknown else "ignored"
        yield f"what nobody knows about these: {word}"
    yield f"reject: {_list(policy.guard)} worse by more than {policy.guard_margin:.2%}"
    if policy.on_behaviour_change is not None:
        word = policy.on_behaviour_change.value
        yield f"{word}: one of these costs more because other events happen"
    if policy.goal is Goal.GATE:
        yield f"passed: nothing of {_list((*policy.guard, *policy.primary))} got worse"
    else:
        yield f"adopt: {_list(policy.primary)} better by {policy.min_gain:.1%} or more"
        yield "hold: no such gain"


def _constraints(asked: Constraints) -> Iterator[str]:
    if asked.signed_packages:
        yield "reject: packages without a signature that was checked"
    if asked.offline:
        yield "reject: anything fetched from a network for the run"
    if asked.image_signed:
        yield "reject: a boot image without a signature that covers it"
    if asked.supported_days is not None:
        yield f"reject: supported for less than {asked.supported_days} days from now on"
    if asked.longterm:
        yield "reject: a series that is no longterm one"
    if asked.max_extra_patches is not None:
        yield f"reject: more than {asked.max_extra_patches} patches on top of upstream"
    if asked.max_open_cves is not None:
        yield f"reject: more than {asked.max_open_cves} open CVEs that its configuration builds"
    if asked.max_risk is not None:
        yield f"reject: a risk above {asked.max_risk}"
    if asked.pays_back_days is not None:
        yield f"hold: a rollout that does not surely pay back within {asked.pays_back_days:g} days"


def _list(patterns: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(patterns)) or "no metric"
