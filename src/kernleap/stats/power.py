"""How many more boots would settle an undecided metric."""

from __future__ import annotations

import numpy as np

from kernleap.stats.effect import Effect, half_width

MOST = 200
"""Beyond this many boots per arm the honest answer is *not by more boots*."""


def boots_needed(effect: Effect, margin: tuple[float, float]) -> int | None:
    """Boots per arm after which the interval should lie on one side of a margin's edge.

    Takes the estimate and the spread seen so far as the truth, so it is a plan, not a
    promise: the smallest n with t(df(n)) * spread / sqrt(n) below the distance between the
    estimate and the nearer edge. Degrees of freedom grow by one for each further pair.

    Args:
        effect: the estimate so far.
        margin: the edges (low, high) of *equivalent* on the effect's scale.

    Returns:
        The total number of boots per arm, or None where no number up to `MOST` would do
        (the estimate lies on the edge, or nothing is known of the spread).
    """
    distance = min(abs(effect.estimate - edge) for edge in margin)
    if effect.df <= 0 or effect.spread <= 0 or not np.isfinite(distance):
        return None
    for boots in range(effect.pairs + 1, MOST + 1):
        df = effect.df + boots - effect.pairs
        if half_width(effect.spread, df, boots, effect.confidence) < distance:
            return boots
    return None
