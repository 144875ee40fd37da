"""From files to a run: a plan whose trials are files, and a record for each of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from kernleap.imported.quantities import QUANTITIES, metrics
from kernleap.imported.results import FORMATS, Load, Result
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs, Part, Region, RunPlan
from kernleap.model.trial import Arm, Samples, Trial, TrialRecord, TrialStatus

KIND = "imported"
"""Kind of the machine, source of the arms, suite, and first part of the metrics' names."""
MOST_FILES = 999
"""Trial ids give a block three digits."""


@dataclass(frozen=True, slots=True)
class ImportedArm:
    """An arm as the user gives it: a label, and its results, one a file."""

    label: str
    results: tuple[Result, ...]


def make_run(
    arms: Sequence[ImportedArm], *, created: datetime, command: Sequence[str], version: str
) -> tuple[RunPlan, tuple[TrialRecord, ...]]:
    """The run of these arms, the first of which is the baseline. Equal arguments, equal runs.

    A file is a trial. Files of all arms that were taken in turns (by their times) are paired in
    blocks; where they were not, no file has a partner, and arms are compared as groups. Files
    that do not tell their time are paired by the order in which they are given.

    Raises:
        UsageError: the arms cannot be compared: a file given twice, unlike tools, unlike numbers
            of loads in a file, two arms of one label.
    """
    form = _check(arms)
    loads = len(arms[0].results[0].loads)
    names = [f"{KIND}/{form}" if loads == 1 else f"{KIND}/{form}-{n + 1}" for n in range(loads)]
    blocks = _blocks(arms)
    trials = _trials(arms, blocks)
    results = {trial.id: arm.results[n] for arm in arms for n, trial in enumerate(_of(trials, arm))}
    part = Part(
        suite=KIND,
        machine=MachineSpec(kind=KIND, mode="timed", cpu="", guest="", memory_mib=0, vcpus=0,
                            settle_s=0.0, time_limit_s=0.0),
        regions=tuple(Region(name, form, name.split("/")[1], 1, 0) for name in names),
        metrics=tuple(
            metric
            for n, name in enumerate(names)
            for metric in metrics(
                FORMATS[form], name, {q for r in results.values() for q in r.loads[n].values}
            )
        ),
        guest_sha256="",
        emulator_version="",
        boots=max(len(arm.results) for arm in arms),
    )  # fmt: skip
    moment = created.astimezone(UTC)
    digest = hashlib.sha256(
        "\n".join([moment.isoformat(), *(t.id for t in trials)]).encode("ascii")
    )
    plan = RunPlan(
        id=f"{moment:%Y%m%d-%H%M%S}-{digest.hexdigest()[:6]}",
        created=moment.isoformat(timespec="seconds"),
        arms=tuple(
            Arm(arm.label, KernelRef(KIND, arm.label), "candidate" if n else "baseline")
            for n, arm in enumerate(arms)
        ),
        trials=tuple(sorted(trials, key=lambda trial: trial.order)),
        parts=(part,),
        inputs=tuple(ArmInputs(arm.label, "", "", {"source": KIND}) for arm in arms),
        seed=0,
        command=tuple(command),
        kernleap_version=version,
    )
    return plan, tuple(_record(trial, results[trial.id], names) for trial in plan.trials)


def _check(arms: Sequence[ImportedArm]) -> str:
    """The tool that wrote all files; refuses arms that cannot be compared."""
    everything = [result for arm in arms for result in arm.results]
    labels = Counter(arm.label for arm in arms)
    if len(labels) < len(arms):
        raise UsageError(f"two arms have the label {labels.most_common(1)[0][0]!r}")
    if max(len(arm.results) for arm in arms) > MOST_FILES:
        raise UsageError(f"an arm has more than {MOST_FILES} files")
    seen: dict[str, Result] = {}
    for result in everything:
        if result.sha256 in seen:
            raise UsageError(
                "a file was given twice, and two trials cannot be one and the same",
                where=str(result.path),
                cause=f"it has the bytes of {seen[result.sha256].path}",
            )
        seen[result.sha256] = result
    first = everything[0]
    for result in everything:
        if result.tool != first.tool:
            raise UsageError(
                "the files are of several tools, whose figures are not defined alike",
                where=str(result.path),
                cause=f"it is of {result.tool}, and {first.path} is of {first.tool}",
                next_step="import the arms of one tool at a time",
            )
        if len(result.loads) != len(first.loads):
            raise UsageError(
                "the files hold unlike numbers of benchmarks",
                where=str(result.path),
                cause=f"it has {len(result.loads)}, and {first.path} has {len(first.loads)}",
                next_step="give files of the same sweep",
            )
    return first.tool


def _blocks(arms: Sequence[ImportedArm]) -> dict[tuple[int, int], tuple[int, int]]:
    """Block and order of each file, by (number of the arm, number of the file)."""
    keys = [(a, n) for a, arm in enumerate(arms) for n in range(len(arm.results))]
    times = {(a, n): arms[a].results[n].started for a, n in keys}
    if any(time is None for time in times.values()):
        given = sorted(keys, key=lambda key: (key[1], key[0]))
        return {key: (key[1], order) for order, key in enumerate(given)}
    by_time = sorted(keys, key=lambda key: (times[key] or 0.0, key))
    blocks: list[list[tuple[int, int]]] = [[]]
    for key in by_time:
        if key[0] in {a for a, _ in blocks[-1]}:
            blocks.append([])
        blocks[-1].append(key)
    in_turns = all(len(block) == len(arms) for block in blocks[:-1])
    if not in_turns:
        blocks = [[key] for key in by_time]
    return {
        key: (number, by_time.index(key)) for number, block in enumerate(blocks) for key in block
    }


def _trials(
    arms: Sequence[ImportedArm], blocks: dict[tuple[int, int], tuple[int, int]]
) -> tuple[Trial, ...]:
    """Trials arm by arm, in the order of their files."""
    return tuple(
        Trial(f"{blocks[a, n][0]:03d}-{a}-{result.sha256[:8]}", arm.label, *blocks[a, n], seed=0)
        for a, arm in enumerate(arms)
        for n, result in enumerate(arm.results)
    )


def _of(trials: Sequence[Trial], arm: ImportedArm) -> list[Trial]:
    return [trial for trial in trials if trial.arm == arm.label]


def _record(trial: Trial, result: Result, names: Sequence[str]) -> TrialRecord:
    several = len(names) > 1
    settings: dict[str, str | float] = {"tool version": result.version, **result.settings}
    warnings: list[str] = []
    for n, load in enumerate(result.loads):
        where = f"{n + 1}: " if several else ""
        settings |= {f"{where}{name}": value for name, value in _settings(load).items()}
        warnings += [f"{result.path.name}: {where}{text}" for text in load.warnings]
    return TrialRecord(
        trial=trial,
        status=TrialStatus.OK,
        facts={
            "tool": result.tool,
            "tool_version": result.version,
            "file": _relative(result.path),
            "file_sha256": result.sha256,
            "file_bytes": result.size,
            "started": result.started,
            "started_as_written": result.started_text,
            "settings": settings,
        },
        samples=tuple(
            Samples(f"{name}/{quantity}", QUANTITIES[quantity].unit, np.array([value]))
            for name, load in zip(names, result.loads, strict=True)
            for quantity, value in load.values.items()
        ),
        warnings=tuple(warnings),
    )


def _settings(load: Load) -> dict[str, str | float]:
    lengths = {
        f"mean {name.replace('_', ' ')}": load.values[name]
        for name in ("prompt_tokens", "output_tokens")
        if name in load.values
    }
    return {**load.settings, **lengths}


def _relative(path: Path) -> str:
    """The last parts of a path: enough to find it again, without saying whose machine it was."""
    return str(Path(*path.parts[-3:]))
