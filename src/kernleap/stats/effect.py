"""The effect of a candidate: ratio to the baseline with an interval honest at 3-10 boots.

Values are compared on the log scale (`Scale.LOG`, effects are ratios) or, for counts that
may be zero such as events per operation, as they are (`Scale.LINEAR`, effects are
differences). Where the boots of both arms come in pairs (same block, same seed), the unit is
the pair's difference; else the arms are compared as two independent groups.

With 3-10 boots the sample variance alone is a poor guide: counted metrics often show none at
all. It is therefore moderated by what is known of the metric's scatter beforehand (`Prior`),
as in Smyth, "Linear models and empirical Bayes methods for assessing differential expression
in microarray experiments", 2004: s~^2 = (d0*s0^2 + d*s^2) / (d0 + d), t on d0 + d degrees of
freedom. Where the sample contradicts the prior (chi-squared at 0.1 %), the prior is dropped
and the ordinary studentised t on d degrees of freedom stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

CONTRADICTION = 0.001
"""Tail probability at which a sample is taken to contradict the prior."""


class Scale(StrEnum):
    """Scale of comparison: `log` gives ratios, `linear` gives differences."""

    LOG = "log"
    LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a metric's scatter before the run, from changes that change nothing.

    `scatter` is the standard deviation of the difference of two boots (one of each arm), on
    the scale of comparison; `df` says how many degrees of freedom that knowledge is worth.
    """

    scatter: float
    df: float = 6.0


@dataclass(frozen=True, slots=True)
class Effect:
    """An estimated effect on the scale of comparison (0 = no change on either scale).

    `spread` is the moderated standard deviation of one pair's difference and `se` the
    standard error of the estimate; `df` are the degrees of freedom of the t distribution
    used. `method` is `identical`, `paired-t` or `welch-t`, with `-moderated` where the prior
    took part. For identical arms the interval is (0, 0) and p is 1.
    """

    estimate: float
    interval: tuple[float, float]
    p_value: float
    confidence: float
    spread: float
    se: float
    df: float
    pairs: int
    method: str
    scale: Scale


def estimate(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    prior: Prior,
    paired: bool,
    scale: Scale = Scale.LOG,
    confidence: float = 0.95,
) -> Effect:
    """Estimate the effect of the candidate.

    Args:
        baseline: per-boot values, shape (n,); with `paired` in the order of `candidate`.
        candidate: per-boot values, shape (m,); m == n with `paired`.
        prior: known scatter; `Prior(0, 0)` for none (then n = 1 gives an infinite interval).
        paired: whether element i of both arms belongs to the same block and seed.
        scale: log needs strictly positive values.
        confidence: of the two-sided interval, between 0 and 1.

    Raises:
        ValueError: empty input, unequal lengths of pairs, or a value <= 0 on the log scale.
    """
    first = np.asarray(baseline, dtype=np.float64)
    second = np.asarray(candidate, dtype=np.float64)
    if first.size == 0 or second.size == 0:
        raise ValueError("both arms need at least one boot")
    if paired and first.size != second.size:
        raise ValueError("paired arms need the same number of boots")
    if _identical(first, second, paired):
        pairs = min(first.size, second.size)
        return Effect(0.0, (0.0, 0.0), 1.0, confidence, 0.0, 0.0, 0.0, pairs, "identical", scale)
    if scale is Scale.LOG:
        if min(first.min(), second.min()) <= 0:
            raise ValueError("the log scale needs positive values")
        first, second = np.log(first), np.log(second)
    centre = float((second - first).mean() if paired else second.mean() - first.mean())
    error = _paired(second - first, prior) if paired else _welch(first, second, prior)
    interval, p_value = _interval(centre, error, confidence)
    return Effect(
        estimate=centre,
        interval=interval,
        p_value=p_value,
        confidence=confidence,
        spread=error.spread,
        se=error.se,
        df=error.df,
        pairs=error.pairs,
        method=("paired-t" if paired else "welch-t") + ("-moderated" if error.moderated else ""),
        scale=scale,
    )


def p_beyond(effect: Effect, edges: tuple[float, float]) -> float:
    """The two-sided p-value of *the effect lies within these edges*, at its nearer edge.

    Args:
        effect: an estimate.
        edges: lower and upper end of what makes no difference, on the effect's scale.

    1 where the estimate itself lies within them, or nothing is known of its error.
    """
    low, high = edges
    distance = max(effect.estimate - high, low - effect.estimate)
    if distance <= 0 or effect.df <= 0:
        return 1.0
    if effect.se == 0:
        return 0.0
    return 2 * float(special.stdtr(effect.df, -distance / effect.se))


def moderated(variance: float, df: float, prior: Prior) -> tuple[float, float, bool]:
    """Moderated variance, its degrees of freedom, and whether the prior took part.

    Args:
        variance: sample variance s^2 (0 where df is 0).
        df: its degrees of freedom, n - 1.
        prior: scatter s0 with d0 degrees of freedom.
    """
    if prior.df <= 0 or prior.scatter <= 0:
        return variance, df, False
    known = prior.scatter**2
    if df > 0 and df * variance / known > float(special.chdtri(df, CONTRADICTION)):
        return variance, df, False
    return (prior.df * known + df * variance) / (prior.df + df), prior.df + df, True


def half_width(spread: float, df: float, pairs: float, confidence: float) -> float:
    """Half width of the t interval: t(df; (1 + confidence)/2) * spread / sqrt(pairs)."""
    if df <= 0:
        return float("inf")
    return float(special.stdtrit(df, (1 + confidence) / 2)) * spread / float(np.sqrt(pairs))


def _identical(first: NDArray[np.float64], second: NDArray[np.float64], paired: bool) -> bool:
    if paired:
        return bool(np.array_equal(first, second))
    return bool(np.ptp(np.concatenate([first, second])) == 0)


@dataclass(frozen=True, slots=True)
class _Error:
    """Uncertainty of an estimate: spread of one pair, standard error, degrees of freedom."""

    spread: float
    se: float
    df: float
    pairs: int
    moderated: bool


def _paired(differences: NDArray[np.float64], prior: Prior) -> _Error:
    n = differences.size
    sample = float(differences.var(ddof=1)) if n > 1 else 0.0
    variance, df, used = moderated(sample, n - 1, prior)
    spread = float(np.sqrt(variance))
    return _Error(spread, spread / float(np.sqrt(n)), df, n, used)


def _welch(first: NDArray[np.float64], second: NDArray[np.float64], prior: Prior) -> _Error:
    # Each arm carries half the variance of a difference; Welch-Satterthwaite joins them.
    share = Prior(prior.scatter / float(np.sqrt(2)), prior.df)
    pairs = min(first.size, second.size)
    if pairs == 1 and (prior.df <= 0 or prior.scatter <= 0):
        return _Error(0.0, 0.0, 0.0, pairs, False)  # the one boot's scatter is not 0: unknown
    squares, weights, total, used = 0.0, 0.0, 0.0, False
    for arm in (first, second):
        sample = float(arm.var(ddof=1)) if arm.size > 1 else 0.0
        variance, df, moderate = moderated(sample, arm.size - 1, share)
        used = used or moderate
        total += variance
        squares += variance / arm.size
        weights += (variance / arm.size) ** 2 / df if df > 0 else 0.0
    df = squares**2 / weights if weights > 0 else float(first.size + second.size - 2)
    return _Error(float(np.sqrt(total)), float(np.sqrt(squares)), df, pairs, used)


def _interval(centre: float, error: _Error, confidence: float) -> tuple[tuple[float, float], float]:
    """The t interval around `centre` and the two-sided p-value of *no effect*."""
    if error.df <= 0:
        # One boot and no prior: the difference is known, its uncertainty is not.
        return (-np.inf, np.inf), 1.0
    if error.se == 0:
        # No scatter seen, and the caller vouches by an empty prior that none is to be expected.
        return (centre, centre), 0.0 if centre else 1.0
    reach = float(special.stdtrit(error.df, (1 + confidence) / 2)) * error.se
    return (centre - reach, centre + reach), 2 * float(
        special.stdtr(error.df, -abs(centre) / error.se)
    )
