"""A measured effect as a distribution: log-normal, with the interval that it was found with."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """candidate / baseline (or value / mean): 1 is no change.

    `value` is the point shown; `low` and `high` enclose it at level `confidence`.
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95

    @property
    def known(self) -> bool:
        """Whether the interval says anything: both ends finite and above 0."""
        return 0 < self.low <= self.high and isfinite(self.high)

    @property
    def median(self) -> float:
        """Centre of the distribution: the middle of the interval on the log scale."""
        return exp((log(self.low) + log(self.high)) / 2)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm, from the width of the interval."""
        z = float(special.ndtri((1 + self.confidence) / 2))
        return (log(self.high) - log(self.low)) / (2 * z)

    def at(self, normal: Array) -> Array:
        """The ratio where a standard normal variable has these values."""
        drawn: Array = self.median * np.exp(self.sigma * normal)
        return drawn


CERTAIN = Ratio(1.0, 1.0, 1.0)


def normals(count: int, variables: int, seed: int) -> Array:
    """Seeded standard normal values, shape (variables, count): one in each of `count` equal strata.

    A Latin hypercube (McKay, Beckman and Conover, 1979): quantiles of one variable are exact to
    the width of a stratum, whatever the seed.
    """
    random = np.random.default_rng(seed)
    strata = np.stack([random.permutation(count) for _ in range(variables)])
    values: Array = special.ndtri((strata + random.random(strata.shape)) / count)
    return values


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its interval. Without an uncertain input, both ends are the value."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval is a point."""
        return self.low == self.high


def figure(value: float, draws: Array, confidence: float) -> Figure:
    """The value at the point estimates, and the central interval of the draws.

    The interval is widened to the value where the point estimate lies outside it.
    """
    tail = (1 - confidence) / 2
    if draws.min() == draws.max():
        return Figure(value, value, value)
    # Draws may be infinite (never pays back): `higher` and `lower` never interpolate with them.
    low = float(np.quantile(draws, tail, method="lower"))
    high = float(np.quantile(draws, 1 - tail, method="higher"))
    return Figure(value, min(low, value), max(high, value))
