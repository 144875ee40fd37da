"""Which of several options is surely no worse than another in everything, and better in something.

Smaller is better in every criterion. Values are intervals, and what is not known is None: it is
neither zero nor equal to anything, so it can never be part of a proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Known = Mapping[str, "Span | None"]
"""What is known of one option, by criterion."""


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval; both ends are the value where it is exact.

    `slack` is the relative difference that does not matter in practice: 0 for exact counts.
    """

    low: float
    high: float
    slack: float = 0.0


def better(one: Span, other: Span) -> bool:
    """Whether the intervals are apart, and this one is the smaller."""
    return one.high < other.low


def no_worse(one: Span, other: Span) -> bool:
    """Whether this one is at most the slack above the other, and the other is not surely better."""
    allowed = abs(other.low) * max(one.slack, other.slack)
    return one.high <= other.low + allowed and not better(other, one)


def dominates(one: Known, other: Known) -> bool:
    """Whether `one` is no worse in every criterion that either of them has, and better in one.

    A criterion that only one of them knows proves nothing either way, so it prevents it; so
    does one that both have and neither knows.
    """
    criteria = one.keys() | other.keys()
    found = False
    for name in criteria:
        here, there = one.get(name), other.get(name)
        if here is None or there is None or not no_worse(here, there):
            return False
        found = found or better(here, there)
    return found


def dominators(options: Sequence[Known]) -> tuple[tuple[int, ...], ...]:
    """For each option the numbers of those that dominate it.

    A criterion that is known of any option counts for all of them: one that an option lacks is
    not known of it. One that is known of none is no criterion of this table.
    """
    names = dict.fromkeys(name for option in options for name in option if option[name] is not None)
    full = [{name: option.get(name) for name in names} for option in options]
    return tuple(
        tuple(place for place, other in enumerate(full) if dominates(other, one)) for one in full
    )
