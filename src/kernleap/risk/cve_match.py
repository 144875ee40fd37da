"""Which CVEs are open in a kernel, which it fixes and which it brings, by what it builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kernleap.model.version import KernelVersion
from kernleap.risk.cve import CveRecord, Status
from kernleap.risk.library import CveData

Conditions = Mapping[str, tuple[tuple[str, ...], ...] | None]
"""Source file -> the ways in which it is built, each the options that must all be on (an empty
one: always); None where that is not known."""
_APART = ("Documentation/", "tools/", "samples/", "scripts/", "LICENSES/", "usr/")
_ARCHES = {"amd64": "arch/x86/", "arm64": "arch/arm64/"}


class Built(StrEnum):
    """Whether the configuration builds the code that a record names."""

    BUILT = "built in"
    MODULE = "as a module"
    UNKNOWN = "unknown"
    NOT_BUILT = "not built"


@dataclass(frozen=True, slots=True)
class CveHit:
    """One record that concerns a kernel. `why` is what `built` was concluded from."""

    id: str
    title: str
    score: float | None
    built: Built
    why: str


@dataclass(frozen=True, slots=True)
class CveAssessment:
    """CVEs of one kernel, by its upstream version, against the baseline's.

    `open`, `fixed` (open in the baseline, not here) and `introduced` (the other way round) hold
    every record concerned, also those whose code is not built; the counts leave those out.
    Without a baseline `fixed` and `introduced` are empty.
    """

    version: str
    records: int
    open: tuple[CveHit, ...]
    fixed: tuple[CveHit, ...] = ()
    introduced: tuple[CveHit, ...] = ()
    undecidable: int = 0
    """Records that name commits only, or a release candidate's release."""
    unreadable: int = 0
    rejected: int = 0
    compared_with: str = ""

    @property
    def open_count(self) -> int:
        """Open, and built or perhaps built."""
        return _counted(self.open)

    @property
    def fixed_count(self) -> int:
        """Fixed against the baseline, by code that is built or perhaps built."""
        return _counted(self.fixed)

    @property
    def introduced_count(self) -> int:
        """Not in the baseline, by code that is built or perhaps built."""
        return _counted(self.introduced)

    @property
    def not_built_count(self) -> int:
        """Open by version in code that this configuration does not build."""
        return len(self.open) - self.open_count

    @property
    def unknown_count(self) -> int:
        """Open by version, and not known whether built. Part of `open_count`."""
        return sum(hit.built is Built.UNKNOWN for hit in self.open)


def assess_cves(
    data: CveData,
    version: KernelVersion,
    *,
    kconfig: Mapping[str, str] | None,
    arch: str,
    conditions: Conditions,
    baseline: KernelVersion | None = None,
) -> CveAssessment:
    """Go through all records.

    Args:
        kconfig: the kernel's configuration; without one nothing is known to be left out.
        conditions: for the files of `files_of_interest`; see `Conditions`.
        baseline: version to compare with.
    """
    opened, fixed, introduced = [], [], []
    undecidable = 0
    for record in data.records:
        here = record.status(version)
        there = record.status(baseline) if baseline else here
        if Status.UNKNOWN in (here, there):
            undecidable += 1
        if here is Status.AFFECTED:
            hit = _hit(record, kconfig, arch, conditions)
            opened.append(hit)
            if there is Status.UNAFFECTED:
                introduced.append(hit)
        elif here is Status.UNAFFECTED and there is Status.AFFECTED:
            fixed.append(_hit(record, kconfig, arch, conditions))
    return CveAssessment(
        str(version),
        len(data.records),
        _sorted(opened),
        _sorted(fixed),
        _sorted(introduced),
        undecidable,
        data.unreadable,
        data.rejected,
        str(baseline) if baseline else "",
    )


def files_of_interest(data: CveData, versions: Iterable[KernelVersion]) -> frozenset[str]:
    """Source files of the records that concern one of the versions."""
    wanted = tuple(versions)
    return frozenset(
        path
        for record in data.records
        if any(record.status(version) is Status.AFFECTED for version in wanted)
        for path in record.files
        if not _is_header(path)
    )


def conditions_by_prefix(
    files: Iterable[str], paths: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[tuple[str, ...], ...] | None]:
    """Conditions from a table of prefixes; the longest that fits counts."""
    found: dict[str, tuple[tuple[str, ...], ...] | None] = {}
    for path in files:
        fitting = [prefix for prefix in paths if path.startswith(prefix)]
        found[path] = (paths[max(fitting, key=len)],) if fitting else None
    return found


def built(
    files: Iterable[str], kconfig: Mapping[str, str] | None, arch: str, conditions: Conditions
) -> tuple[Built, str]:
    """Whether any of a record's files is built, and what that rests on.

    Headers decide nothing: they are compiled wherever they are included.
    """
    sources = [path for path in files if not _is_header(path)]
    if not sources:
        return Built.UNKNOWN, "the record names no source file"
    if kconfig is None:
        return Built.UNKNOWN, "the kernel's configuration is not known"
    states = [_file(path, kconfig, arch, conditions) for path in sources]
    for state in (Built.BUILT, Built.MODULE, Built.UNKNOWN):
        for found, why in states:
            if found is state:
                return found, why
    return states[0]


def _file(
    path: str, kconfig: Mapping[str, str], arch: str, conditions: Conditions
) -> tuple[Built, str]:
    if path.startswith(_APART):
        return Built.NOT_BUILT, f"{path}: no part of the kernel"
    if path.startswith("arch/") and not path.startswith(_ARCHES.get(arch, "arch/")):
        return Built.NOT_BUILT, f"{path}: another architecture"
    ways = conditions.get(path)
    if ways is None:
        return Built.UNKNOWN, f"{path}: not known what it depends on"
    order = list(Built)
    states = [_way(path, options, kconfig) for options in ways]
    return min(states, key=lambda state: order.index(state[0]))


def _way(path: str, options: tuple[str, ...], kconfig: Mapping[str, str]) -> tuple[Built, str]:
    if not options:
        return Built.BUILT, f"{path}: always built"
    values = {option: kconfig.get(option, "absent") for option in options}
    said = f"{path}: " + ", ".join(f"{option}={value}" for option, value in values.items())
    if any(value in {"n", "absent"} for value in values.values()):
        return Built.NOT_BUILT, said
    return (Built.MODULE if "m" in values.values() else Built.BUILT), said


def _hit(
    record: CveRecord, kconfig: Mapping[str, str] | None, arch: str, conditions: Conditions
) -> CveHit:
    state, why = built(record.files, kconfig, arch, conditions)
    return CveHit(record.id, record.title, record.score, state, why)


def _sorted(hits: list[CveHit]) -> tuple[CveHit, ...]:
    order = {state: place for place, state in enumerate(Built)}
    return tuple(sorted(hits, key=lambda h: (order[h.built], -(h.score or 0.0), h.id)))


def _counted(hits: tuple[CveHit, ...]) -> int:
    return sum(hit.built is not Built.NOT_BUILT for hit in hits)


def _is_header(path: str) -> bool:
    return path.endswith(".h")
