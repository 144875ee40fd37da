"""Histograms of nanoseconds with a bounded relative error: Python's side of histogram.h.

Values below 256 have a bucket each; above, each power of two is cut into 128 equal buckets:

    bucket(v) = v                     for v < 256
              = e * 128 + (v >> e)    else, e = floor(log2 v) - 7

so that no bucket is wider than 1/128 of its lower bound, and a quantile, which is the middle of its
bucket, is wrong by at most 0.4 %. Values from 2^45 ns (9.8 hours) share the last bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernleap.model.errors import InfrastructureError

_BITS = 45
BUCKETS = (_BITS - 8) * 128 + 256


def bucket_of(value: int) -> int:
    """The number of the bucket that holds `value` nanoseconds (not negative)."""
    if value < 256:
        return value
    if value >> _BITS:
        return BUCKETS - 1
    e = value.bit_length() - 8
    return e * 128 + (value >> e)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The lowest and the highest whole number of nanoseconds in `bucket`."""
    if bucket < 256:
        return bucket, bucket
    e = bucket // 128 - 1
    low = (bucket - e * 128) << e
    return low, low + (1 << e) - 1


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile in nanoseconds: `low <= truth <= high`; `value` is in the middle."""

    value: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket, in ascending order of the buckets. Times in nanoseconds.

    `minimum`, `maximum` and `total` (the sum) are exact; all are 0 when there is nothing.
    """

    count: int = 0
    minimum: int = 0
    maximum: int = 0
    total: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """The mean, exact; None when there is nothing."""
        return self.total / self.count if self.count else None

    def quantile(self, q: float) -> Quantile | None:
        """The smallest value that at least a share `q` of all values do not exceed.

        Args:
            q: above 0, at most 1.

        Returns:
            None when there is nothing. The bounds hold for values below 2^45 ns.
        """
        if not 0 < q <= 1:
            raise ValueError(f"not a share: {q}")
        if not self.count:
            return None
        rank = max(1, math.ceil(q * self.count - 1e-9))
        seen = 0
        for bucket, count in self.buckets.items():
            seen += count
            if seen >= rank:
                low, high = bounds_of(bucket)
                break
        if bucket == BUCKETS - 1:
            high = max(high, self.maximum)
        low, high = max(low, self.minimum), min(high, self.maximum)
        return Quantile((low + high) / 2, low, high)

    def merged(self, other: Histogram) -> Histogram:
        """Both together."""
        if not self.count or not other.count:
            return other if not self.count else self
        keys = sorted({*self.buckets, *other.buckets})
        return Histogram(
            self.count + other.count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.total + other.total,
            {k: self.buckets.get(k, 0) + other.buckets.get(k, 0) for k in keys},
        )

    @classmethod
    def of(cls, values: Iterable[int]) -> Histogram:
        """The histogram of whole nanoseconds."""
        everything = sorted(values)
        if not everything:
            return cls()
        if everything[0] < 0:
            raise ValueError("a time below zero")
        buckets: dict[int, int] = {}
        for value in everything:
            bucket = bucket_of(value)
            buckets[bucket] = buckets.get(bucket, 0) + 1
        return cls(len(everything), everything[0], everything[-1], float(sum(everything)), buckets)

    @classmethod
    def from_json(cls, raw: Any, where: str) -> Histogram:
        """A histogram as `kernleap-load` writes it.

        Raises:
            InfrastructureError: it is not one, or contradicts itself; `where` says whose it is.
        """
        try:
            count, low, high = (_whole(raw[key]) for key in ("count", "min", "max"))
            total = float(raw["sum"])
            pairs = [(_whole(bucket), _whole(number)) for bucket, number in raw["buckets"]]
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(where, str(error)) from error
        keys = [bucket for bucket, _ in pairs]
        if keys != sorted(set(keys)) or (keys and keys[-1] >= BUCKETS):
            raise _broken(where, "its buckets are not in order, or out of range")
        if sum(number for _, number in pairs) != count or not all(n for _, n in pairs):
            raise _broken(where, "its buckets do not add up to its count")
        if keys and (bucket_of(low) != keys[0] or bucket_of(high) != keys[-1] or low > high):
            raise _broken(where, "its least or greatest value is in another bucket")
        if not math.isfinite(total) or not count * low * 0.999 <= total <= count * high * 1.001:
            raise _broken(where, "its sum cannot be that of its values")
        return cls(count, low, high, total, dict(pairs))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"not a whole number: {value!r}"[:100])
    return value


def _broken(where: str, cause: str) -> InfrastructureError:
    return InfrastructureError("a histogram of the load driver is broken", where=where, cause=cause)
