"""Architectures side by side: whether a metric moves the same way on another one.

Compared are decisions, not figures: an instruction of one architecture is not one of another.
Even where all agree this says only that paths got longer or shorter on both, in instructions,
and never that a gain carries over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kernleap.model.kernel import Arch
from kernleap.model.result import Decision
from kernleap.report.text import listing, plural

if TYPE_CHECKING:
    from kernleap.report.parts import ArmView, FindingView, MetricView

_MOVED = (Decision.BETTER, Decision.WORSE)


class Agreement(StrEnum):
    """How a metric of one architecture stands to the same metric of another."""

    SAME = "same"
    OPPOSITE = "opposite"
    FIRST_ONLY = "first_only"
    OTHER_ONLY = "other_only"
    NEITHER = "neither"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ArchRow:
    """One metric of both architectures, under the name without either."""

    name: str
    label: str
    first: FindingView
    other: FindingView
    agreement: Agreement
    word: str


@dataclass(frozen=True, slots=True)
class ArchPanel:
    """One candidate on two architectures."""

    arm: str
    arm_label: str
    first: str
    other: str
    sentence: str
    rows: tuple[ArchRow, ...]

    @property
    def moved(self) -> tuple[ArchRow, ...]:
        """Rows in which something moved, or may have."""
        return tuple(row for row in self.rows if row.agreement is not Agreement.NEITHER)


def agreement_of(first: Decision, other: Decision) -> Agreement:
    """What two decisions about one metric say together."""
    if first in _MOVED and other in _MOVED:
        return Agreement.SAME if first is other else Agreement.OPPOSITE
    if first in _MOVED and other is Decision.EQUIVALENT:
        return Agreement.FIRST_ONLY
    if first is Decision.EQUIVALENT and other in _MOVED:
        return Agreement.OTHER_ONLY
    if first is other is Decision.EQUIVALENT:
        return Agreement.NEITHER
    return Agreement.OPEN


def panels(metrics: Iterable[MetricView], candidates: Iterable[ArmView]) -> tuple[ArchPanel, ...]:
    """A panel for each candidate and each architecture besides the first of the run."""
    by_arch: dict[Arch, dict[str, MetricView]] = {}
    for view in metrics:
        by_arch.setdefault(view.metric.arch, {})[view.metric.plain] = view
    if len(by_arch) < 2:
        return ()
    first, *others = by_arch
    return tuple(
        _panel(arm, (first, by_arch[first]), (other, by_arch[other]))
        for arm in candidates
        for other in others
    )


def _panel(
    arm: ArmView,
    first: tuple[Arch, dict[str, MetricView]],
    other: tuple[Arch, dict[str, MetricView]],
) -> ArchPanel:
    rows = []
    for name, view in first[1].items():
        here = _finding(view, arm)
        there = _finding(other[1].get(name), arm)
        if here is None or there is None:
            continue
        agreement = agreement_of(here.decision, there.decision)
        word = _word(agreement, first[0], other[0])
        rows.append(ArchRow(name, view.label, here, there, agreement, word))
    return ArchPanel(
        arm=arm.name,
        arm_label=arm.label,
        first=str(first[0]),
        other=str(other[0]),
        sentence=_sentence(rows, first[0], other[0]),
        rows=tuple(rows),
    )


def _finding(view: MetricView | None, arm: ArmView) -> FindingView | None:
    return next((f for f in view.findings if f.arm == arm.name), None) if view else None


def _word(agreement: Agreement, first: Arch, other: Arch) -> str:
    words = {
        Agreement.SAME: "same direction",
        Agreement.OPPOSITE: "opposite directions",
        Agreement.FIRST_ONLY: f"on {first} only",
        Agreement.OTHER_ONLY: f"on {other} only",
        Agreement.NEITHER: "equivalent on both",
        Agreement.OPEN: "open",
    }
    return words[agreement]


def _sentence(rows: list[ArchRow], first: Arch, other: Arch) -> str:
    """What the rows say together; instructions only, since nothing was timed."""
    counts = Counter(row.agreement for row in rows)
    moved = [row for row in rows if row.first.decision in _MOVED]
    if not rows:
        return f"No metric was judged on both {first} and {other}."
    if moved:
        opened = sum(row.agreement is Agreement.OPEN for row in moved)
        told = [
            f"{count} {word}"
            for count, word in (
                (counts[Agreement.SAME], f"moved in the same direction in instructions on {other}"),
                (counts[Agreement.OPPOSITE], "in the opposite one"),
                (counts[Agreement.FIRST_ONLY], "did not move there"),
                (opened, "cannot be said yet"),
            )
            if count
        ]
        text = f"Of {plural(len(moved), 'metric')} that moved on {first}, {listing(told)}."
    else:
        text = f"Nothing that was judged on both moved on {first}."
    if alone := counts[Agreement.OTHER_ONLY]:
        text += f" {plural(alone, 'metric')} moved on {other} only."
    return text
