"""Modules from outside the tree that hosts use, against what a kernel is known to take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kernleap.model.kernel_facts import HostFacts, KernelFacts
from kernleap.risk.library import Library
from kernleap.risk.tables import Project, Support

BUILDS = "builds"
FAILS = "fails"
UNKNOWN = "unknown"
_BUILT = ("installed", "built")


@dataclass(frozen=True, slots=True)
class OutsideModule:
    """One project whose modules hosts use, and whether they are known to build for a kernel."""

    project: str
    version: str
    hosts: tuple[str, ...]
    status: str
    """BUILDS, FAILS or UNKNOWN."""
    evidence: str
    date: str = ""


@dataclass(frozen=True, slots=True)
class _Use:
    project: str
    version: str
    host: str


def outside_modules(
    facts: KernelFacts, series: str, hosts: Iterable[HostFacts], library: Library
) -> tuple[OutsideModule, ...]:
    """What the hosts use, one entry for each project and version, worst first."""
    hosts = tuple(hosts)
    by_use: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for use in _uses(host, library):
            by_use.setdefault((use.project, use.version), []).append(use.host)
    found = []
    for (project, version), names in by_use.items():
        status, evidence, day = _status((project, version), facts, series, hosts, library)
        found.append(
            OutsideModule(project, version, tuple(dict.fromkeys(names)), status, evidence, day)
        )
    order = (FAILS, UNKNOWN, BUILDS)
    return tuple(sorted(found, key=lambda item: (order.index(item.status), item.project)))


def _uses(host: HostFacts, library: Library) -> list[_Use]:
    used: dict[str, str] = {}
    for entry in host.dkms or ():
        used.setdefault(_by_dkms(entry.module, library), entry.version)
    for module in host.modules:
        if "O" in module.taint:
            project = _by_module(module.name, library)
            used[project] = used.get(project) or module.version
    return [_Use(project, version, host.name) for project, version in used.items()]


def _status(
    used: tuple[str, str],
    facts: KernelFacts,
    series: str,
    hosts: tuple[HostFacts, ...],
    library: Library,
) -> tuple[str, str, str]:
    project, version = used
    for host in hosts:
        for entry in host.dkms or ():
            same = _by_dkms(entry.module, library) == project and entry.version == version
            if same and entry.kernel == facts.release and entry.status.startswith(_BUILT):
                said = f"dkms on {host.name}: {entry.module} {entry.version} {entry.status}"
                return BUILDS, f"{said} for {facts.release}", ""
    for statement in library.support:
        if _holds(statement, project, version, series):
            return statement.status, statement.source, statement.date
    known = _project(project, library)
    for package in facts.packages:
        if known and any(name in package.name.split("-") for name in known.dkms + known.modules):
            return (
                BUILDS,
                f"a package of it is given: {package.name} {package.version}",
                package.built,
            )
    return UNKNOWN, f"nothing says whether it builds for {series or facts.release}", ""


def _holds(statement: Support, project: str, version: str, series: str) -> bool:
    return (
        statement.project == project
        and series in statement.series
        and statement.version in {"", version}
    )


def _by_dkms(name: str, library: Library) -> str:
    for project in library.projects:
        if name in project.dkms:
            return project.name
    return name


def _by_module(name: str, library: Library) -> str:
    for project in library.projects:
        if name in project.modules:
            return project.name
    return name


def _project(name: str, library: Library) -> Project | None:
    return next((project for project in library.projects if project.name == name), None)
