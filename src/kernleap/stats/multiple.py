"""Many metrics, one comparison: p-values adjusted so that few claims of change are false."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjust(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values, same shape and order (Benjamini, Hochberg 1995).

    Claiming a change exactly where the adjusted value is <= alpha keeps the expected share
    of false claims among the claims at alpha or below, for independent or positively
    dependent metrics (metrics of one boot are positively dependent).
    """
    array = np.asarray(p_values, dtype=np.float64)
    if array.size == 0:
        return array
    from scipy import stats  # noqa: PLC0415 - takes a second, and most commands need none of it

    return np.asarray(stats.false_discovery_control(array, method="bh"), dtype=np.float64)
