"""Several runs of the same arms as one: counted here, timed there, judged together.

Each run keeps its parts, its blocks and its grades; nothing is pooled. What joins them is that
their arms are the same: same names, same roles, and the same kernels where both know them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kernleap.model.errors import UsageError
from kernleap.model.run import ArmInputs, RunData, RunPlan
from kernleap.model.trial import Trial, TrialRecord


def join(runs: Sequence[RunData]) -> RunData:
    """One run with the parts of all, the first run's arms and seed, and the ids joined by `+`.

    `extra["runs"]` holds the ids. Blocks are renumbered so that they stay unique.

    Raises:
        UsageError: no run; arms that are not the same; a metric that two runs have.
    """
    if not runs:
        raise UsageError("there is no run to judge")
    first = runs[0]
    if len(runs) == 1:
        return first
    for other in runs[1:]:
        _check_arms(first.plan, other.plan)
    _check_metrics([run.plan for run in runs])
    trials: list[Trial] = []
    records: list[TrialRecord] = []
    part, block = 0, 0
    for place, run in enumerate(runs):
        renumbered = {
            trial.id: dataclasses.replace(
                trial,
                id=f"{place + 1}:{trial.id}",
                part=trial.part + part,
                block=trial.block + block,
                order=trial.order + len(trials),
            )
            for trial in run.plan.trials
        }
        records += [
            dataclasses.replace(record, trial=renumbered[record.trial.id]) for record in run.records
        ]
        part += len(run.plan.parts)
        block += 1 + max((trial.block for trial in run.plan.trials), default=-1)
        trials += renumbered.values()
    ids = tuple(run.plan.id for run in runs)
    kconfigs = {key: text for run in reversed(runs) for key, text in run.kconfigs.items()}
    keys = dict.fromkeys(one.key for run in runs for one in run.plan.inputs)
    plan = dataclasses.replace(
        first.plan,
        id="+".join(ids),
        created=max(run.plan.created for run in runs),
        trials=tuple(trials),
        parts=tuple(part for run in runs for part in run.plan.parts),
        inputs=tuple(_inputs(runs, key) for key in keys),
        command=(),
    )
    return RunData(plan, tuple(records), kconfigs, {**first.extra, "runs": ids})


def _inputs(runs: Sequence[RunData], key: str) -> ArmInputs:
    """The kernel of that key from the run that knows most of it."""
    known = [one for run in runs for one in run.plan.inputs if one.key == key]
    return max(known, key=lambda one: (bool(one.kernel_sha256), bool(one.kconfig_sha256)))


def _check_arms(first: RunPlan, other: RunPlan) -> None:
    here = [(arm.name, arm.role) for arm in first.arms]
    there = [(arm.name, arm.role) for arm in other.arms]
    if here != there:
        raise UsageError(
            "these runs do not compare the same arms",
            where=f"{first.id} and {other.id}",
            cause=f"{', '.join(name for name, _ in here)} against "
            f"{', '.join(name for name, _ in there)}",
            next_step="report them one by one, or run them with the same references in one order",
        )
    kernels = {one.key: one.kernel_sha256 for one in first.inputs}
    for one in other.inputs:
        known = kernels.get(one.key, "")
        if known and one.kernel_sha256 and known != one.kernel_sha256:
            raise UsageError(
                f"the arm {one.key} is another kernel in each of these runs",
                where=f"{first.id} and {other.id}",
                cause=f"SHA-256 {known[:12]}… and {one.kernel_sha256[:12]}…",
                next_step="run both with the same kernel: name its exact release",
            )


def _check_metrics(plans: Sequence[RunPlan]) -> None:
    seen: dict[str, str] = {}
    for plan in plans:
        for metric in plan.metrics:
            if metric.name in seen:
                raise UsageError(
                    f"two of these runs measure {metric.name}",
                    where=f"{seen[metric.name]} and {plan.id}",
                    cause="runs are joined to complete each other, and never pooled",
                    next_step="leave one of them out",
                )
        seen |= {metric.name: plan.id for metric in plan.metrics}
