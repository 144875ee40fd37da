"""The mean of repeated measurements, with the interval of Student's t."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and its interval; `spread` is the standard deviation of one value (n - 1)."""

    value: float
    low: float
    high: float
    spread: float
    confidence: float
    n: int

    @property
    def variation(self) -> float:
        """Coefficient of variation: spread / |mean|; 0 where both are 0."""
        if self.value:
            return self.spread / abs(self.value)
        return float("inf") if self.spread else 0.0


def mean_of(values: ArrayLike, confidence: float = 0.95) -> Mean:
    """Mean and two-sided t interval, mean ± t(n - 1) * s / sqrt(n).

    Args:
        values: shape (n,); taken as independent and about normal.
        confidence: between 0 and 1.

    Raises:
        ValueError: fewer than two values: there is no interval from one.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        raise ValueError("an interval needs at least two values")
    centre, spread = float(array.mean()), float(array.std(ddof=1))
    t = float(special.stdtrit(array.size - 1, (1 + confidence) / 2))
    half = t * spread / float(np.sqrt(array.size))
    return Mean(centre, centre - half, centre + half, spread, confidence, int(array.size))
