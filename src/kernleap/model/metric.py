"""Metrics: what a number is called, its unit, its direction, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kernleap.model.kernel import Arch

_QUALIFIERS = tuple(f"{arch}:" for arch in Arch if arch is not Arch.AMD64)


def qualified(name: str, arch: Arch) -> str:
    """The name of a region, a metric or an arm's kernel on `arch`; on amd64 the name itself.

    What runs on another architecture is another quantity, so it has another name wherever names
    tell quantities apart (docs/decisions/0055).
    """
    return name if arch is Arch.AMD64 else f"{arch}:{name}"


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
    """One metric. `name` reads `workload/form/quantity`, before which `ARCH:` says on which
    architecture unless it is amd64.

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
    def arch(self) -> Arch:
        """The architecture it was measured on."""
        return Arch(self.name.partition(":")[0]) if self.plain != self.name else Arch.AMD64

    @property
    def plain(self) -> str:
        """The name without the architecture: the same quantity of all architectures."""
        if self.name.startswith(_QUALIFIERS):
            return self.name.partition(":")[2]
        return self.name

    @property
    def region(self) -> str:
        """The name without the quantity: what samples and profiles of one region share."""
        return self.name.rsplit("/", 1)[0]

    @property
    def workload(self) -> str:
        """First part of the plain name."""
        return self.plain.split("/", 2)[0]

    @property
    def form(self) -> str:
        """Second part of the name (`1p`, `2p-fifo`, ...)."""
        parts = self.plain.split("/", 2)
        return parts[1] if len(parts) == 3 else ""

    @property
    def quantity(self) -> str:
        """Last part of the name."""
        return self.name.rsplit("/", 1)[-1]


def timed_metric(name: str, unit: str, better: Better, description: str) -> Metric:
    """A metric measured by the clock. What has no better direction is behaviour.

    `description` is stored with a capital at its beginning.
    """
    return Metric(
        name=name,
        unit=unit,
        better=better,
        grade=Grade.TIMED,
        role=Role.BEHAVIOUR if better is Better.NEITHER else Role.SCHEDULED,
        aggregation="median",
        description=description[:1].upper() + description[1:],
    )
