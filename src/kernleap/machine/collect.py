"""From what guest and plugin wrote to samples: each checked against the other, or no result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernleap.guest.channel import Records
from kernleap.machine.knobs import check_cmdline, check_knobs
from kernleap.machine.selfcheck import SELFCHECK, check_ticks
from kernleap.model.errors import KernleapError
from kernleap.model.kernel import KernelRef
from kernleap.model.run import Region
from kernleap.model.trial import Profile, Samples
from kernleap.probe.counted import side_samples, to_profiles, to_samples
from kernleap.probe.counts import RegionCounts
from kernleap.probe.counts_file import read_counts
from kernleap.probe.symbols import SymbolTable
from kernleap.workload.serving.region import PER_TOKEN, PROGRAM, guest_time_values
from kernleap.workload.serving.result import parse_summary

# "Linux version RELEASE (WHO@WHERE) (COMPILER, LINKER) #1 ..."
_BUILT_WITH = re.compile(r"^Linux version \S+ \(\S+\) \((.+)\) #")


class InvalidTrial(Exception):  # noqa: N818 - a status of a trial, not a defect
    """The boot ended, but what it measured is not what was asked."""


def compiler_of(proc_version: str) -> str:
    """The compiler that /proc/version names, without the linker; "" if it names none."""
    match = _BUILT_WITH.search(proc_version)
    return match[1].rsplit(", GNU ld", 1)[0].rsplit(", LLD", 1)[0] if match else ""


def check_guest(ref: KernelRef, records: Records, facts: dict[str, Any]) -> None:
    """Whether the guest was what the arm asks for; what it said of itself goes into `facts`.

    Raises:
        InvalidTrial: a knob did not take, or the guest complains.
        ChannelError: it did not say what every guest says.
    """
    for complaint in records.of("error"):
        raise InvalidTrial(str(complaint.get("text", "the guest reports an error")))
    facts["uname_release"] = str(records.one("release").get("text", ""))
    facts["proc_version"] = str(records.one("version").get("text", "")).strip()
    facts["compiler"] = compiler_of(facts["proc_version"])
    knobs, problem = check_knobs(ref.modifiers, records)
    facts["knobs"] = knobs
    if problem is None:
        problem = check_cmdline(ref.modifiers, records)
    if problem is not None:
        raise InvalidTrial(problem)
    crng = records.one("crng")
    facts["crng_ready"] = crng.get("ready") is True
    if not facts["crng_ready"]:
        raise InvalidTrial(
            "the random generator is not ready: kernel-stack randomisation would take its "
            "slow path in every system call"
        )


def collect(
    regions: Sequence[Region],
    records: Records,
    counts: Path,
    symbols: SymbolTable,
    warnings: list[str],
) -> tuple[tuple[Samples, ...], tuple[Profile, ...]]:
    """The samples and profiles of one boot, every region checked against what the guest said.

    Raises:
        InvalidTrial: guest, plugin and plan disagree about what ran.
        CountsError, ChannelError: what one of them wrote is broken.
    """
    wanted = (SELFCHECK, *regions)
    said = records.of("region")
    if len(said) != len(wanted):
        raise InvalidTrial(f"the guest ran {len(said)} regions of {len(wanted)}")
    file = read_counts(counts)
    if file.errors:
        raise InvalidTrial(f"the plugin objects: {'; '.join(file.errors[:3])}")
    counted = iter(file.regions)
    samples: list[Samples] = []
    profiles: list[Profile] = []
    for region, record in zip(wanted, said, strict=True):
        if (record.get("workload"), record.get("form")) != (region.program, region.form):
            raise InvalidTrial(f"the guest answered for another region than {region.name}")
        status, why = record.get("status"), str(record.get("why", ""))
        if status == "unsupported":
            warnings.append(f"{region.name}: not supported by this kernel: {why}")
            continue
        if status != "ok":
            raise InvalidTrial(f"{region.name}: {why or 'failed'}")
        got = next(counted, None)
        if got is None:
            raise InvalidTrial(f"the plugin has no counts of {region.name}")
        _check_operations(region, got)
        if region is SELFCHECK:
            check_ticks(records, got)
            continue
        if region.program == PROGRAM:
            # Hardly two tokens are alike here: only their sum is looked at, and it is exact.
            samples += _per_token(region, records, got)
        else:
            samples += to_samples(region.name, got)
            warnings += (f"{region.name}: {warning}" for warning in got.warnings)
        profiles += to_profiles(region.name, got, symbols)
    if next(counted, None) is not None:
        raise InvalidTrial("the plugin counted more regions than the guest ran")
    return tuple(samples), tuple(profiles)


def _per_token(region: Region, records: Records, got: RegionCounts) -> list[Samples]:
    text = "".join(str(r.get("text", "")) for r in records.of("summary"))
    try:
        result = parse_summary(text, region.name)
    except KernleapError as error:
        raise InvalidTrial(f"{region.name}: {error.what}") from error
    failed = {kind: n for kind, n in result.measured.items() if kind != "ok" and n}
    if failed:
        raise InvalidTrial(f"{region.name}: requests failed: {failed}")
    if not got.sides:
        raise InvalidTrial(f"{region.name}: server and client were not told apart")
    samples = [
        Samples(s.metric + PER_TOKEN, s.unit.replace("/op", "/token"), s.values)
        for s in (*to_samples(region.name, got), *side_samples(region.name, got))
    ]
    for name, value in guest_time_values(result).items():
        unit = "guest ms" if "_p" in name else "tokens/guest s"
        samples.append(Samples(f"{region.name}/{name}", unit, np.array([value])))
    return samples


def _check_operations(region: Region, got: RegionCounts) -> None:
    counted, wanted = len(got.kernel), region.iterations
    # Tokens of warm-up requests that are still running fall into the window of a served region.
    slack = region.iterations // 10 if region.program == PROGRAM else 0
    if not wanted <= counted <= wanted + slack:
        raise InvalidTrial(f"{region.name}: {counted} operations counted, {wanted} were asked")
