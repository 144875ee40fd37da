"""Why a metric moved: the kernel functions whose counts changed, exact to the instruction."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from math import isclose

from kernleap.judge.arms import ArmData
from kernleap.judge.compare import Compared
from kernleap.model.metric import Metric
from kernleap.model.result import ArmValues, FunctionDelta
from kernleap.model.trial import BY_SIDE, EVERYTHING, Profile

OTHER = "other"
_PROFILED = {
    "kernel_instructions": ("counts", EVERYTHING),
    "kernel_instructions_per_token": ("counts", EVERYTHING),
    "rep_iterations": ("rep_counts", EVERYTHING),
    "rep_iterations_per_token": ("rep_counts", EVERYTHING),
} | {
    f"kernel_instructions_of_{side}_per_token": ("counts", number)
    for side, number in BY_SIDE.items()
}
"""Quantity to the field of its profile, and the number of the profile over all operations."""
_CLONE = re.compile(r"\.(isra|constprop|part|cold|llvm|lto_priv)(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Witness:
    """The explanation of one difference.

    `functions` are all functions whose count per operation changed, by falling |delta|; their
    deltas add up to `total`, which is the difference of the arms' central values.
    `events` are (event, baseline, candidate), per operation.
    """

    functions: tuple[FunctionDelta, ...]
    total: float
    events: tuple[tuple[str, float, float], ...]


def explain(item: Compared, baseline: ArmData, candidate: ArmData) -> Witness | None:
    """Explain a difference by the profiles of the operations at the central values.

    In each arm the boot whose value *is* the arm's lower median stands for it (both arms'
    boots from one block where possible), and in that boot the variants whose operations had
    exactly that count. Counting is in integers and fractions of them, so nothing is lost.

    Returns:
        None where the metric has no profile, or an arm has none at its central value.
    """
    if item.metric.quantity not in _PROFILED:
        return None
    field, whole = _PROFILED[item.metric.quantity]
    here = _at_centre(item.metric, item.baseline, baseline, field, whole)
    there = _at_centre(item.metric, item.candidate, candidate, field, whole)
    if not here or not there:
        return None
    block = next((block for block in here if block in there), None)
    first = here[next(iter(here)) if block is None else block]
    second = there[next(iter(there)) if block is None else block]
    before, after = _per_operation(first, field), _per_operation(second, field)
    deltas = [
        FunctionDelta(name, group(name), float(old), float(new), float(new - old))
        for name in before.keys() | after.keys()
        if (old := before.get(name, Fraction())) != (new := after.get(name, Fraction()))
    ]
    deltas.sort(key=lambda delta: (-abs(delta.delta), delta.name))
    total = sum(after.values(), Fraction()) - sum(before.values(), Fraction())
    return Witness(tuple(deltas), float(total), _events(first, second))


def _at_centre(
    metric: Metric, arm: ArmValues, data: ArmData, field: str, number: int
) -> dict[int, tuple[Profile, ...]]:
    """Profiles at the arm's central value, by block."""
    region = metric.region
    found: dict[int, tuple[Profile, ...]] = {}
    for item in data.values(metric):
        if item.value != arm.median:
            continue
        profiles = item.boot.profiles.get(region, ())
        if metric.aggregation == "mean":
            whole = [p for p in profiles if p.variant == number]
            whole = whole or [p for p in profiles if p.variant >= 0]
            if whole and isclose(float(_value(whole, field)), arm.median, rel_tol=1e-12):
                found[item.boot.block] = tuple(whole)
            continue
        at = tuple(
            p
            for p in profiles
            if p.variant >= 0 and p.operations and _value([p], field) == Fraction(arm.median)
        )
        if at:
            found[item.boot.block] = at
    return found


def _counts(profile: Profile, field: str) -> Mapping[str, int]:
    return profile.rep_counts if field == "rep_counts" else profile.counts


def _value(profiles: Iterable[Profile], field: str) -> Fraction:
    parts = list(profiles)
    operations = sum(p.operations for p in parts)
    return Fraction(sum(sum(_counts(p, field).values()) for p in parts), operations or 1)


def _per_operation(profiles: tuple[Profile, ...], field: str) -> dict[str, Fraction]:
    operations = sum(p.operations for p in profiles)
    sums: dict[str, int] = {}
    for profile in profiles:
        for name, count in _counts(profile, field).items():
            # Compilers split and clone functions differently from build to build; the name
            # in the source is what both kernels share.
            source_name = _CLONE.sub("", name)
            sums[source_name] = sums.get(source_name, 0) + count
    return {name: Fraction(count, operations) for name, count in sums.items()}


def _events(
    baseline: tuple[Profile, ...], candidate: tuple[Profile, ...]
) -> tuple[tuple[str, float, float], ...]:
    def rate(profiles: tuple[Profile, ...], event: str) -> float:
        weight = sum(p.operations for p in profiles)
        return sum(p.events.get(event, 0.0) * p.operations for p in profiles) / weight

    names = dict.fromkeys(name for p in (*baseline, *candidate) for name in p.events)
    return tuple((name, rate(baseline, name), rate(candidate, name)) for name in names)


@lru_cache(maxsize=1)
def _groups() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = resources.files("kernleap.judge").joinpath("subsystems.toml").read_text("utf-8")
    return tuple(
        (entry["name"], re.compile("|".join(translate(p) for p in entry["functions"])))
        for entry in tomllib.loads(text)["group"]
    )


@lru_cache(maxsize=65536)
def group(function: str) -> str:
    """The subsystem a kernel function belongs to, by its name (judge/subsystems.toml)."""
    name = _CLONE.sub("", function)
    return next((label for label, pattern in _groups() if pattern.match(name)), OTHER)
