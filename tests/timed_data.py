"""Runs of the kind `here` made of given values, for what judges and shows them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernleap.model.kernel import KernelRef, Modifier, ModifierKind
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs, Part, RunData, RunPlan
from kernleap.model.trial import Arm, Samples, Trial, TrialRecord, TrialStatus
from kernleap.workload.serving.timed import TimedRegion

KNOB = Modifier(ModifierKind.SYSCTL, "net.ipv4.tcp_congestion_control", "reno")


def run_of(
    region: TimedRegion,
    baseline: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    *,
    noise: Mapping[str, float] | None = None,
) -> RunData:
    """A run of two arms: the values of each metric by its name, one for each trial."""
    arms = {"baseline": baseline, "candidate": candidate}
    metrics = tuple(region.metrics())
    units = {metric.name: metric.unit for metric in metrics}
    records = []
    for place, (arm, values) in enumerate(arms.items()):
        for block in range(max(len(series) for series in values.values())):
            trial = Trial(f"{block:03d}-{place}", arm, block, 2 * block + place, block)
            samples = [
                Samples(name, units[name], np.array([series[block]]))
                for name, series in values.items()
            ]
            facts = {"noise": dict(noise)} if noise else {}
            records.append(TrialRecord(trial, TrialStatus.OK, facts=facts, samples=tuple(samples)))
    plan = RunPlan(
        id="timed",
        created="2026-01-01T00:00:00Z",
        arms=(
            Arm("baseline", KernelRef("host", ""), "baseline"),
            Arm("candidate", KernelRef("host", "", (KNOB,)), "candidate"),
        ),
        trials=tuple(record.trial for record in records),
        parts=(
            Part(
                suite="serving",
                machine=MachineSpec(kind="here", mode="timed"),
                regions=(region.planned,),
                metrics=metrics,
                guest_sha256="",
                emulator_version="",
                boots=len(records) // 2,
            ),
        ),
        inputs=tuple(ArmInputs(arm, "7.2.0", "0" * 64, {"source": "host"}) for arm in arms),
        seed=0,
    )
    return RunData(plan, tuple(records))
