"""One metric, two arms: the comparison, before anything is decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, log1p

import numpy as np

from kernleap.judge.arms import ArmData, BootValue, pairs, summarise
from kernleap.judge.events import counts_events
from kernleap.judge.policy import Policy
from kernleap.model.metric import Grade, Metric, Role
from kernleap.model.result import ArmValues
from kernleap.stats import Effect, Prior, Scale, estimate


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison with its effect.

    `edges` are the ends of *equivalent* and `reach` the interval, both on the effect's scale
    (log ratio, or difference). `reach` always contains the point estimate shown: of counts
    the ratio of the central values, which are those of real boots; of times the middle of the
    interval, for times have no value that is the path.
    """

    metric: Metric
    arm: str
    baseline: ArmValues
    candidate: ArmValues
    effect: Effect
    reach: tuple[float, float]
    edges: tuple[float, float]
    ratio: float
    interval: tuple[float, float]
    margin: float
    quality: tuple[str, ...]

    @property
    def boots(self) -> int:
        """Boots of the smaller arm."""
        return min(self.baseline.n, self.candidate.n)

    @property
    def inside(self) -> bool:
        """Whether the whole interval lies within the margin."""
        return self.edges[0] <= self.reach[0] and self.reach[1] <= self.edges[1]

    @property
    def beyond(self) -> int:
        """+1 if the whole interval lies above the margin, -1 if below, else 0."""
        return int(self.reach[0] > self.edges[1]) - int(self.reach[1] < self.edges[0])


def compare(
    metric: Metric, baseline: ArmData, candidate: ArmData, policy: Policy
) -> Compared | None:
    """Compare one metric; None if an arm has no samples of it, or it counts what never happened."""
    first, second = baseline.values(metric), candidate.values(metric)
    if not first or not second or _never_happened(metric, (*first, *second)):
        return None
    known = policy.knowledge(metric)
    timed = metric.grade is Grade.TIMED
    # Counts have levels; times scatter all over, and two of them apart are no two modes.
    gap = 1e9 if timed else min(max(5 * known.scatter, 0.001), 0.01)
    here, there = summarise(first, gap), summarise(second, gap)

    common = pairs(first, second)
    paired = len(common) >= min(policy.min_boots, len(first), len(second))
    if paired:
        a, b = [x.value for x, _ in common], [y.value for _, y in common]
    else:
        a, b = _numbers(first), _numbers(second)
    scale = _scale(metric, _numbers(first), _numbers(second))
    size = max(abs(here.median), abs(there.median))
    scatter = known.scatter if scale is Scale.LOG else _linear_scatter(metric, policy, size)
    prior = Prior(0.0, 0.0) if timed else Prior(scatter)
    effect = estimate(a, b, prior=prior, paired=paired, scale=scale, confidence=1 - policy.alpha)
    margin = policy.margin(metric)
    if scale is Scale.LOG:
        point = effect.estimate if timed else log(there.median / here.median)
        edges = (-log1p(margin), log1p(margin))
    else:
        point = effect.estimate if timed else there.median - here.median
        edges = _linear_edges(metric, policy, here.median, size)
        margin = edges[1] / here.median if here.median > 0 else margin
    reach = (min(effect.interval[0], point), max(effect.interval[1], point))
    return Compared(
        metric=metric,
        arm=candidate.name,
        baseline=here,
        candidate=there,
        effect=effect,
        reach=reach,
        edges=edges,
        ratio=_as_ratio(point, scale, here.median) if timed else _ratio(here.median, there.median),
        interval=_as_ratios(reach, scale, here.median),
        margin=margin,
        quality=_quality(here, there, paired, len(common)),
    )


def _never_happened(metric: Metric, values: tuple[BootValue, ...]) -> bool:
    """Whether this is a kind of error that no trial saw: nothing to compare, or to correct for."""
    counted_up = metric.grade is Grade.TIMED and metric.role is Role.BEHAVIOUR
    return counted_up and not any(item.value for item in values)


def _numbers(values: tuple[BootValue, ...]) -> list[float]:
    return [item.value for item in values]


def _scale(metric: Metric, first: list[float], second: list[float]) -> Scale:
    # A ratio of events says little where the usual count is 0, 1 or 2.
    if counts_events(metric) or min(*first, *second) <= 0:
        return Scale.LINEAR
    return Scale.LOG


def _linear_scatter(metric: Metric, policy: Policy, size: float) -> float:
    known = policy.knowledge(metric)
    return max(known.events, known.scatter * size)


def _linear_edges(
    metric: Metric, policy: Policy, baseline: float, size: float
) -> tuple[float, float]:
    """The same factors up and down as on the log scale, but never less than some events."""
    margin = policy.margin(metric)
    centre = abs(baseline) or size
    least = policy.behaviour.events if counts_events(metric) or not size else 0.0
    return -max(centre - centre / (1 + margin), least), max(centre * margin, least)


def _ratio(baseline: float, candidate: float) -> float:
    if baseline == candidate:
        return 1.0
    return candidate / baseline if baseline else inf


def _as_ratio(point: float, scale: Scale, baseline: float) -> float:
    if scale is Scale.LOG:
        return exp(point)
    return max(0.0, 1 + point / baseline) if baseline > 0 else _ratio(0.0, max(0.0, point))


def _as_ratios(reach: tuple[float, float], scale: Scale, baseline: float) -> tuple[float, float]:
    low, high = reach
    if low == high == 0:
        return (1.0, 1.0)
    if scale is Scale.LOG:
        return (exp(low) if low > -700 else 0.0, exp(high) if high < 700 else inf)
    if baseline <= 0:
        return (1.0 if low > 0 else 0.0, inf)
    return (max(0.0, 1 + low / baseline), max(0.0, 1 + high / baseline))


def _quality(
    baseline: ArmValues, candidate: ArmValues, paired: bool, common: int
) -> tuple[str, ...]:
    remarks = []
    if len(baseline.modes) > 1 or len(candidate.modes) > 1:
        remarks.append("multi-modal")
    if min(baseline.n, candidate.n) == 1:
        remarks.append("single boot")
    if not paired:
        remarks.append("unpaired")
    elif common < max(baseline.n, candidate.n):
        remarks.append(f"paired on {common} common blocks")
    if baseline.median == 0 != candidate.median:
        remarks.append("zero baseline")
    if not np.isfinite(baseline.spread) or not np.isfinite(candidate.spread):
        remarks.append("spread around zero")
    return tuple(remarks)
