"""Runs of a real machine for tests of cost and trade-offs: timed metrics with known values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from kernleap.model.kernel import KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Grade, Metric
from kernleap.model.run import ArmInputs, Part, RunData, RunPlan
from kernleap.model.trial import Arm, Samples, Trial, TrialRecord, TrialStatus
from kernleap.workload.serving.region import TINY
from kernleap.workload.serving.timed import TimedRegion

Values = Mapping[str, Sequence[float]]
"""Per-boot values of each quantity."""

REGION = TimedRegion()


def timed(quantity: str, region: TimedRegion = REGION) -> Metric:
    """The metric of that quantity as the running machine measures it."""
    return next(m for m in region.metrics() if m.quantity == quantity)


def counted() -> Metric:
    """Kernel instructions per token, of the lab."""
    units = (("kernel_instructions", "instructions/op", ""),)
    return next(m for m in TINY.metrics(units) if m.grade is Grade.COUNTED)


def guest_rate() -> Metric:
    """Tokens per *guest* second: counted, and no speed."""
    return next(m for m in TINY.metrics(()) if m.quantity == "tokens_per_second")


def run_of(
    arms: Mapping[str, Mapping[Metric, Sequence[float]]],
    *,
    name: str = "timed-1",
    refs: Mapping[str, KernelRef] | None = None,
    digests: Mapping[str, str] | None = None,
) -> RunData:
    """A run of those arms, the first the baseline; each value is that of one boot."""
    boots = max(len(values) for metrics in arms.values() for values in metrics.values())
    metrics = tuple(dict.fromkeys(metric for one in arms.values() for metric in one))
    kinds = {metric.grade for metric in metrics}
    machine = MachineSpec(kind="here") if kinds == {Grade.TIMED} else MachineSpec()
    trials, records = [], []
    for place, (arm, values) in enumerate(arms.items()):
        for block in range(boots):
            trial = Trial(f"{arm}-{block}", arm, block, place, block)
            trials.append(trial)
            samples = tuple(
                Samples(metric.name, metric.unit, np.array([numbers[block]], dtype=np.float64))
                for metric, numbers in values.items()
            )
            records.append(TrialRecord(trial, TrialStatus.OK, samples=samples))
    plan = RunPlan(
        id=name,
        created="2026-01-01T00:00:00Z",
        arms=tuple(
            Arm(
                arm,
                (refs or {}).get(arm, KernelRef("debian", arm)),
                "candidate" if place else "baseline",
            )
            for place, arm in enumerate(arms)
        ),
        trials=tuple(trials),
        parts=(
            Part(
                suite="serving", machine=machine, regions=(REGION.planned,), metrics=metrics,
                guest_sha256="0" * 64, emulator_version="", boots=boots,
            ),
        ),
        inputs=tuple(
            ArmInputs(arm, arm, (digests or {}).get(arm, f"{place:064x}"), {})
            for place, arm in enumerate(arms)
        ),
        seed=1,
    )  # fmt: skip
    return RunData(plan, tuple(records))


def scattered(centre: float, spread: float = 0.004, boots: int = 10, seed: int = 1) -> list[float]:
    """Boots around a centre, relative scatter `spread`.

    The centre is their lower median (counts go by it) and their geometric mean (times do).
    """
    offsets = np.random.default_rng(seed).normal(0, spread, boots)
    offsets -= np.sort(offsets)[(boots - 1) // 2]
    above = offsets > 0
    offsets[above] *= -offsets[~above].sum() / offsets[above].sum()
    return [float(centre * np.exp(offset)) for offset in offsets]


def renamed(metric: Metric, region: str) -> Metric:
    """The same quantity of another region."""
    return replace(metric, name=f"{region}/{metric.quantity}")
