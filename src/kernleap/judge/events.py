"""Event vectors: did both arms do the same things, only at another price?

An operation's event vector counts what happened in it: system calls, schedules, context
switches, wakeups, faults, softirqs, inter-processor interrupts. Timer interrupts are left
out: they fall where guest time puts them, whatever the operation does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernleap.judge.arms import ArmData, Boot
from kernleap.model.metric import Grade, Metric
from kernleap.stats import lower_median

EVENTS = (
    "syscalls", "schedules", "switches", "wakeups",
    "interrupts", "faults", "softirqs", "ipis",
)  # fmt: skip
VECTOR = tuple(event for event in EVENTS if event != "interrupts")

Vector = tuple[float, ...]
_PER_TOKEN = re.compile(r"(_of_[a-z]+)?_per_token$")


def counts_events(metric: Metric) -> bool:
    """Whether a metric counts events per operation, of all or of one side."""
    if metric.quantity in EVENTS:
        return True
    return metric.grade is Grade.COUNTED and _PER_TOKEN.sub("", metric.quantity) in EVENTS


@dataclass(frozen=True, slots=True, eq=False)
class EventTable:
    """Operations of one region in one boot, split by event vector.

    `values` holds the kernel instructions of the operations that had that vector.
    """

    values: dict[Vector, NDArray[np.float64]]

    @property
    def modal(self) -> Vector:
        """The vector most operations had (the smallest on a tie)."""
        return min(self.values, key=lambda vector: (-self.values[vector].size, vector))


def tables(arm: ArmData, region: str) -> tuple[EventTable, ...]:
    """One table per boot; boots without event counts are left out."""
    found = (_table(boot, region) for boot in arm.boots)
    return tuple(table for table in found if table is not None)


def _table(boot: Boot, region: str) -> EventTable | None:
    values = boot.samples.get(f"{region}/kernel_instructions")
    columns = [boot.samples.get(f"{region}/{event}") for event in VECTOR]
    if values is not None and any(column is not None for column in columns):
        rows = np.stack(
            [
                column if column is not None and column.size == values.size
                else np.zeros(values.size)
                for column in columns
            ],
            axis=1,
        )  # fmt: skip
        vectors, which = np.unique(rows, axis=0, return_inverse=True)
        which = which.ravel()
        return EventTable(
            {tuple(map(float, v)): values[which == index] for index, v in enumerate(vectors)}
        )
    return _from_profiles(boot, region)


def _from_profiles(boot: Boot, region: str) -> EventTable | None:
    split: dict[Vector, list[NDArray[np.float64]]] = {}
    for profile in boot.profiles.get(region, ()):
        if profile.variant < 0 or not profile.events or not profile.operations:
            continue
        vector = tuple(float(profile.events.get(event, 0.0)) for event in VECTOR)
        value = sum(profile.counts.values()) / profile.operations
        split.setdefault(vector, []).append(np.full(profile.operations, value))
    return EventTable({v: np.concatenate(parts) for v, parts in split.items()}) if split else None


def shares(boots: Sequence[EventTable]) -> dict[Vector, float]:
    """Share of an arm's operations that had each vector; boots weigh the same."""
    total: dict[Vector, float] = {}
    for table in boots:
        operations = sum(part.size for part in table.values.values())
        for vector, part in table.values.items():
            total[vector] = total.get(vector, 0.0) + part.size / operations / len(boots)
    return total


def changed(baseline: Sequence[EventTable], candidate: Sequence[EventTable]) -> bool:
    """Whether the commonest vectors of all boots of one arm are none of the other arm's."""
    first = {table.modal for table in baseline}
    second = {table.modal for table in candidate}
    return bool(first) and bool(second) and first.isdisjoint(second)


def shared_state(
    baseline: Sequence[EventTable], candidate: Sequence[EventTable], overlap: float
) -> bool:
    """Whether either arm's commonest vectors also occur in the other's operations.

    `overlap` is the share of the other arm's operations from which on that counts.
    """
    there, here = shares(candidate), shares(baseline)
    return any(there.get(t.modal, 0.0) >= overlap for t in baseline) or any(
        here.get(t.modal, 0.0) >= overlap for t in candidate
    )


@dataclass(frozen=True, slots=True)
class Matched:
    """Path lengths of both arms over operations with the same event vector, per boot."""

    vector: Vector
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Candidate/baseline of the lower medians; infinite for a zero baseline."""
        centre = lower_median(self.baseline)
        return lower_median(self.candidate) / centre if centre else float("inf")


def match(
    baseline: Sequence[EventTable], candidate: Sequence[EventTable], overlap: float, boots: int
) -> Matched | None:
    """The best common state: the vector with the largest smaller share in both arms.

    None where no vector makes up `overlap` of both arms' operations and occurs in `boots`
    boots of each.
    """
    here, there = shares(baseline), shares(candidate)
    best: tuple[float, Matched] | None = None
    for vector in sorted(here.keys() & there.keys()):
        weight = min(here[vector], there[vector])
        first = tuple(lower_median(t.values[vector]) for t in baseline if vector in t.values)
        second = tuple(lower_median(t.values[vector]) for t in candidate if vector in t.values)
        if weight < overlap or min(len(first), len(second)) < boots:
            continue
        if best is None or weight > best[0]:
            best = (weight, Matched(vector, first, second))
    return best[1] if best else None


def describe(baseline: Vector, candidate: Vector) -> str:
    """The events that differ, as `schedules 2 -> 4, wakeups 1 -> 2`."""
    return ", ".join(
        f"{event} {old:g} -> {new:g}"
        for event, old, new in zip(VECTOR, baseline, candidate, strict=True)
        if old != new
    )
