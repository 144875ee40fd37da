"""What the answer hangs on: every input moved alone, to its own range or by a percentage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernleap.cost.bill import MTOK, Year, year_of
from kernleap.cost.change import Change, difference
from kernleap.cost.fleet import Fleet, Path, inputs, with_input
from kernleap.cost.ratio import Ratio
from kernleap.model.errors import UsageError
from kernleap.model.units import NUMBER, Quantity

VARY = 0.20
_SHARES = frozenset({"utilisation", "residual"})
"""Numbers that cannot be beyond 1."""

Answer = Callable[[Year, Fleet], float]


@dataclass(frozen=True, slots=True)
class Swing:
    """An input at its low and its high end, and the answer at each.

    `given` says that the ends are the fleet's own range. A value is None where the fleet could
    not serve its traffic then.
    """

    path: Path
    low: Quantity
    high: Quantity
    given: bool
    at_low: float | None
    at_high: float | None

    @property
    def size(self) -> float:
        """How far the two answers are apart; infinite where one is none."""
        if self.at_low is None or self.at_high is None:
            return float("inf")
        return abs(self.at_high - self.at_low)


def of_bill(fleet: Fleet, measured: float | None, vary: float = VARY) -> tuple[Swing, ...]:
    """Swings of the baseline's money for a million tokens, widest first."""

    def answer(year: Year, _fleet: Fleet) -> float:
        return float(year.bill(np.ones(1)).per_token[0]) * MTOK

    return _swings(fleet, measured, vary, answer)


def of_difference(
    fleet: Fleet, measured: float | None, change: Change, accounting: str, vary: float = VARY
) -> tuple[Swing, ...]:
    """Swings of the yearly difference of one kernel; the effect itself, at its interval, is first
    among them where it is the widest.
    """
    effect, joules = change.throughput, change.energy

    def at(year: Year, of: Fleet, ratio: float, energy: float | None) -> float:
        return difference(of, year, ratio, accounting, energy, patched=change.patched)

    def answer(year: Year, of: Fleet) -> float:
        return at(year, of, effect.value, joules.value if joules else None)

    year = year_of(fleet, measured)
    energy = joules.value if joules else None
    own = [
        _of_ratio(
            ("effect", "throughput"),
            effect,
            [at(year, fleet, end, energy) for end in (effect.low, effect.high)],
        )
    ]
    if joules is not None:
        ends = [at(year, fleet, effect.value, end) for end in (joules.low, joules.high)]
        own.append(_of_ratio(("effect", "energy"), joules, ends))
    return _sorted([*own, *_swings(fleet, measured, vary, answer)])


def _of_ratio(path: Path, ratio: Ratio, ends: list[float]) -> Swing:
    return Swing(path, _plain(ratio.low), _plain(ratio.high), True, ends[0], ends[1])


def _plain(value: float) -> Quantity:
    return Quantity(value, NUMBER)


def _swings(fleet: Fleet, measured: float | None, vary: float, answer: Answer) -> tuple[Swing, ...]:
    found = []
    for path, value in inputs(fleet).items():
        given = fleet.ranges.get(path)
        low, high = given or _around(path, value, vary)
        ends: list[float | None] = []
        for end in (low, high):
            changed = with_input(fleet, path, end)
            try:
                ends.append(answer(year_of(changed, measured), changed))
            except UsageError:  # too little capacity at that end
                ends.append(None)
        found.append(Swing(path, low, high, given is not None, *ends))
    return _sorted([swing for swing in found if swing.size > 0])


def _sorted(swings: list[Swing]) -> tuple[Swing, ...]:
    return tuple(sorted(swings, key=lambda s: (-s.size, s.path)))


def _around(path: Path, value: Quantity, vary: float) -> tuple[Quantity, Quantity]:
    low, high = value * (1 - vary), value * (1 + vary)
    if path[-1] in _SHARES:
        high = Quantity(min(1.0, high.value), high.dims)
    if path[-1] == "pue":
        low = Quantity(max(1.0, low.value), low.dims)
    return low, high
