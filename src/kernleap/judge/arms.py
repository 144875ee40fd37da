"""The good boots of each arm, and their per-boot values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernleap.model.metric import Metric
from kernleap.model.result import ArmValues
from kernleap.model.run import RunData
from kernleap.model.trial import Profile, TrialRecord, TrialStatus
from kernleap.stats import aggregate, clusters, lower_median


@dataclass(frozen=True, slots=True, eq=False)
class Boot:
    """One good boot: samples by metric name, profiles by region."""

    id: str
    block: int
    seed: int
    samples: dict[str, NDArray[np.float64]]
    profiles: dict[str, tuple[Profile, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class BootValue:
    """The one value of a metric in a boot."""

    boot: Boot
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class ArmData:
    """The good boots of one arm in block order."""

    name: str
    boots: tuple[Boot, ...]

    def values(self, metric: Metric) -> tuple[BootValue, ...]:
        """Per-boot values, in block order, of the boots that have samples of the metric."""
        return tuple(
            BootValue(boot, aggregate(samples, metric.aggregation))
            for boot in self.boots
            if (samples := boot.samples.get(metric.name)) is not None and samples.size
        )

    def operations(self, name: str) -> NDArray[np.float64]:
        """All samples of a metric, of all boots one after another."""
        parts = [boot.samples[name] for boot in self.boots if name in boot.samples]
        return np.concatenate(parts) if parts else np.empty(0)


def collect(run: RunData) -> dict[str, ArmData]:
    """Good boots by arm; every planned arm has an entry, if an empty one."""
    boots: dict[str, list[Boot]] = {arm.name: [] for arm in run.plan.arms}
    for record in run.records:
        if record.status is TrialStatus.OK:
            boots[record.trial.arm].append(_boot(record))
    return {
        name: ArmData(name, tuple(sorted(arm, key=lambda boot: (boot.block, boot.id))))
        for name, arm in boots.items()
    }


def _boot(record: TrialRecord) -> Boot:
    profiles: dict[str, list[Profile]] = {}
    for profile in record.profiles:
        profiles.setdefault(profile.region, []).append(profile)
    return Boot(
        id=record.trial.id,
        block=record.trial.block,
        seed=record.trial.seed,
        samples={item.metric: item.values for item in record.samples},
        profiles={region: tuple(items) for region, items in profiles.items()},
    )


def summarise(values: Iterable[BootValue], gap: float) -> ArmValues:
    """Per-boot values with their lower median, relative spread and levels.

    Args:
        values: at least one.
        gap: relative distance from which on two boots are on different levels.
    """
    numbers = tuple(item.value for item in values)
    centre = lower_median(numbers)
    width = max(numbers) - min(numbers)
    spread = 0.0 if width == 0 else (width / abs(centre) if centre else float("inf"))
    return ArmValues(len(numbers), numbers, centre, spread, clusters(numbers, gap))


def pairs(
    baseline: tuple[BootValue, ...], candidate: tuple[BootValue, ...]
) -> tuple[tuple[BootValue, BootValue], ...]:
    """Boots of both arms that share block and seed, in block order."""
    partners = {(item.boot.block, item.boot.seed): item for item in candidate}
    return tuple(
        (item, partners[key])
        for item in baseline
        if (key := (item.boot.block, item.boot.seed)) in partners
    )
