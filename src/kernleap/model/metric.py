"""Metrics: what a number is called, its unit, its direction, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """Grade of evidence. Grades are never mixed in one comparison."""

    COUNTED = "counted"
    PLACED = "placed"
    TIMED = "timed"


class Better(StrEnum):
    """Direction of improvement. `NEITHER` marks behaviour: reported, never judged a gain."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Role(StrEnum):
    """What a metric is for.

    `PATH` carries verdicts. `SCHEDULED` is a path that crosses the fair scheduler: judged
    with its spread over seeds. `BEHAVIOUR` says how a system behaves (a schedule-dependent
    form, an event count): reported, never *better* or *worse*.
    """

    PATH = "path"
    SCHEDULED = "scheduled"
    BEHAVIOUR = "behaviour"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` reads `workload/form/quantity`.

    `aggregation` names the function that turns the samples of one boot into that boot's
    one value (see kernleap.stats.boot): `mode`, `median` or `mean`.
    """

    name: str
    unit: str
    better: Better
    grade: Grade
    role: Role
    aggregation: str
    description: str = ""

    @property
    def workload(self) -> str:
        """First part of the name."""
        return self.name.split("/", 2)[0]

    @property
    def form(self) -> str:
        """Second part of the name (`1p`, `2p-fifo`, ...)."""
        parts = self.name.split("/", 2)
        return parts[1] if len(parts) == 3 else ""

    @property
    def quantity(self) -> str:
        """Last part of the name."""
        return self.name.rsplit("/", 1)[-1]
