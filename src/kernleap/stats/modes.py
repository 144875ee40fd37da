"""Several levels instead of one: finding them, and telling whether two arms share them.

A process pair that sits near a scheduler tipping point does not vary around one value; it is
in one of a few states. A change that touches nothing measured can change *how often* each
state is visited. It cannot create a state. So the question to ask of a difference is
whether the states differ or only their shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kernleap.stats.boot import lower_median


def clusters(values: ArrayLike, gap: float) -> tuple[float, ...]:
    """Levels of per-boot values, ascending, each given by its lower median.

    Sorted values are cut wherever two neighbours are further apart than `gap` times the
    larger of them in magnitude (single linkage in one dimension). With `gap` a few times the
    known scatter of one level, two levels mean two states, not noise.

    Args:
        values: shape (boots,).
        gap: relative distance, > 0.
    """
    array = np.sort(np.asarray(values, dtype=np.float64))
    if array.size == 0:
        return ()
    scale = np.maximum(np.abs(array[1:]), np.abs(array[:-1]))
    cuts = np.flatnonzero(np.diff(array) > gap * scale) + 1
    return tuple(lower_median(part) for part in np.split(array, cuts))


def overlap_share(centre: float, operations: ArrayLike, tolerance: float) -> float:
    """Share of `operations` (of the *other* arm) that lie at `centre`, between 0 and 1.

    Args:
        centre: central value of one arm.
        operations: values of single operations of the other arm, all boots, shape (n,).
        tolerance: relative distance that still counts as the same level.
    """
    array = np.asarray(operations, dtype=np.float64)
    if array.size == 0:
        return 0.0
    return float(np.mean(np.abs(array - centre) <= tolerance * abs(centre)))
