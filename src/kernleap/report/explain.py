"""Explanations: function deltas grouped by subsystem, such that the groups sum to the total."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kernleap.model.metric import Better
from kernleap.model.result import Finding
from kernleap.report.text import clean, signed

_NAME_LIMIT = 64
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One kernel function's change, in kernel instructions per operation."""

    name: str
    group: str
    baseline: float
    candidate: float
    delta: float


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A subsystem: its functions by falling |delta|, and their sum."""

    name: str
    delta: float
    functions: tuple[FunctionRow, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a metric moved. `sum(g.delta for g in groups) + rest == total`."""

    total: float
    groups: tuple[GroupRow, ...]
    rest: float
    """What functions below the cut of the judgement add up to."""

    @property
    def largest(self) -> tuple[FunctionRow, ...]:
        """All functions by falling |delta|."""
        rows = (row for group in self.groups for row in group.functions)
        return tuple(sorted(rows, key=lambda r: (-abs(r.delta), r.name)))


@dataclass(frozen=True, slots=True)
class RecurringFunction:
    """A function that explains several metrics of one candidate."""

    name: str
    group: str
    metrics: int
    median_delta: float
    least: float
    most: float


def explanation(finding: Finding) -> Explanation | None:
    """The explanation of a finding; None where the judgement names no function."""
    if not finding.functions:
        return None
    by_group: dict[str, list[FunctionRow]] = defaultdict(list)
    for item in finding.functions:
        if not math.isfinite(item.delta):
            continue
        group = clean(item.group, 40) or "other"
        by_group[group].append(
            FunctionRow(
                clean(item.name, _NAME_LIMIT), group, item.baseline, item.candidate, item.delta
            )
        )
    groups = tuple(
        GroupRow(
            name,
            math.fsum(r.delta for r in rows),
            tuple(sorted(rows, key=lambda r: (-abs(r.delta), r.name))),
        )
        for name, rows in by_group.items()
    )
    named = math.fsum(g.delta for g in groups)
    total = finding.explained_total if math.isfinite(finding.explained_total) else named
    rest = total - named
    if abs(rest) <= _ROUNDING * max(1.0, abs(total)):
        rest = 0.0
    ordered = tuple(sorted(groups, key=lambda g: (-abs(g.delta), g.name)))
    return Explanation(total=total, groups=ordered, rest=rest)


def responsible(found: Explanation | None, change: float, count: int = 1) -> tuple[str, ...]:
    """The functions that push in the direction of `change`, largest first.

    A metric that grew is explained by what grew; a large function that shrank meanwhile is
    shown in the full list, not named as responsible.
    """
    if found is None:
        return ()
    direction = math.copysign(1.0, change) if change and math.isfinite(change) else 0.0
    rows = [r for r in found.largest if not direction or r.delta * direction > 0]
    return tuple(_name_and_delta(r) for r in rows[:count])


def _name_and_delta(row: FunctionRow) -> str:
    return f"{row.name} {signed(row.delta)}"


def recurring(
    findings: Iterable[tuple[Finding, Explanation | None]], count: int = 12
) -> tuple[RecurringFunction, ...]:
    """Functions named by two or more path metrics, by how many they explain."""
    deltas: dict[tuple[str, str], list[float]] = defaultdict(list)
    for finding, found in findings:
        if found is None or finding.comparison.metric.better is Better.NEITHER:
            continue
        for row in found.largest:
            if row.delta:
                deltas[row.name, row.group].append(row.delta)
    rows = []
    for (name, group), values in deltas.items():
        if len(values) < 2:
            continue
        ordered = sorted(values)
        middle = ordered[(len(ordered) - 1) // 2]
        rows.append(RecurringFunction(name, group, len(values), middle, ordered[0], ordered[-1]))
    rows.sort(key=lambda r: (-r.metrics, -abs(r.median_delta), r.name))
    return tuple(rows[:count])
