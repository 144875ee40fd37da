"""The samples of one boot become that boot's one value, before any arms are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernleap.model.errors import UsageError


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if array.size == 0:
        raise ValueError("no samples to aggregate")
    if not np.isfinite(array).all():
        raise ValueError("samples must be finite")
    return array


def lower_median(values: ArrayLike) -> float:
    """The lower median: the value of rank ceil(n/2), so always a value that occurred.

    For even n this is the smaller of the two middle values rather than their mean: a count
    that no operation (or no boot) ever had could not be explained by its function profile.
    """
    array = _finite(values)
    rank = (array.size - 1) // 2
    return float(np.partition(array, rank)[rank])


def mode(values: ArrayLike) -> float:
    """The commonest value; the smallest of them on a tie (so that order never matters)."""
    levels, counts = np.unique(_finite(values), return_counts=True)
    return float(levels[int(np.argmax(counts))])


def mean(values: ArrayLike) -> float:
    """The arithmetic mean: for rates of rare events, whose median is 0."""
    return float(_finite(values).mean())


AGGREGATIONS: Mapping[str, Callable[[ArrayLike], float]] = {
    "mode": mode,
    "median": lower_median,
    "mean": mean,
}


def aggregate(values: ArrayLike, how: str) -> float:
    """One value for one boot, in the unit of the samples.

    Args:
        values: samples of one metric in one boot, shape (operations,).
        how: `mode`, `median` (lower median) or `mean`.

    Raises:
        UsageError: `how` is none of these.
        ValueError: no samples, or some that are not finite.
    """
    try:
        function = AGGREGATIONS[how]
    except KeyError:
        raise UsageError(
            f"unknown aggregation {how!r}", next_step=f"use one of {', '.join(AGGREGATIONS)}"
        ) from None
    return function(values)
