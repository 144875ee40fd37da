"""One scale for all ratios of a table, so that bars and intervals can be compared by eye."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kernleap.report.parts import FindingView
from kernleap.report.text import MINUS

_STEPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_COVERED = 0.9


@dataclass(frozen=True, slots=True)
class Scale:
    """Changes from -full to +full, linear; what lies outside is drawn at the edge.

    `full` is a change, not a ratio: 0.2 stands for 20 %.
    """

    full: float

    def __str__(self) -> str:
        return f"{self.full * 100:g} %"

    def position(self, ratio: float) -> float:
        """Where a ratio lies, from -1 (left edge) to 1."""
        return max(-1.0, min(1.0, (ratio - 1.0) / self.full))

    def tick(self, at: float) -> str:
        """The label of a tick, at -1, -0.5, 0, 0.5 or 1 of the full width."""
        change = at * self.full * 100
        sign = "+" if change > 0 else MINUS if change < 0 else ""
        return f"{sign}{abs(change):g} %"

    def outside(self, ratio: float) -> bool:
        """Whether the true place of a ratio is beyond an edge."""
        return abs(ratio - 1.0) > self.full * 1.0001


def scale_of(findings: Iterable[FindingView]) -> Scale:
    """The smallest round scale that holds nine in ten of the changes.

    A single giant (a tenfold path under a debug option) then does not flatten all others.
    """
    sizes = sorted(abs(f.ratio - 1.0) for f in findings if f.ratio is not None)
    return _round(sizes[math.ceil(len(sizes) * _COVERED) - 1] if sizes else 0.0)


def scale_for(ratios: Iterable[float]) -> Scale:
    """The smallest round scale that holds all of these."""
    return _round(max((abs(ratio - 1.0) for ratio in ratios), default=0.0))


def _round(largest: float) -> Scale:
    return Scale(next((s for s in _STEPS if largest <= s), _STEPS[-1]))
