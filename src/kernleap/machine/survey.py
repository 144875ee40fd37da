"""What a real host's CPUs share, and the nearest shape that the lab can emulate."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch
from kernleap.model.topology import (
    EmulatedShape,
    ExpectedTruth,
    Topology,
    cpu_list,
    cpus_in,
)

MOST_LLCS, LEAST_CPUS, MOST_CPUS, MOST_VCPUS = 4, 6, 8, 32
"""What emulation bears: last-level caches, CPUs of each, CPUs in all."""


@dataclass(frozen=True, slots=True)
class Survey:
    """CPU lists of a host, each in the order of its first CPU. `model` is the CPU's own name."""

    arch: str
    model: str
    cpus: str
    sockets: tuple[str, ...]
    llcs: tuple[str, ...]
    llc_size: str
    siblings: tuple[str, ...]
    clusters: tuple[str, ...]
    nodes: tuple[str, ...]


def survey(root: Path = Path("/")) -> Survey:
    """Read sysfs and /proc/cpuinfo below `root`.

    Raises:
        InfrastructureError: sysfs does not describe the CPUs.
    """
    base = root / "sys/devices/system/cpu"
    try:
        online = (base / "online").read_text().strip()
        cpus = cpus_in(online)
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            "this machine does not describe its CPUs", where=str(base), cause=str(error)
        ) from error
    caches = {cpu: _last_level(base / f"cpu{cpu}") for cpu in cpus}
    return Survey(
        arch=platform.machine(),
        model=_model(root / "proc/cpuinfo"),
        cpus=online,
        sockets=_lists(base, cpus, "topology/package_cpus_list", "topology/core_siblings_list"),
        llcs=tuple(dict.fromkeys(shared for shared, _ in caches.values() if shared)),
        llc_size=next((size for _, size in caches.values() if size), ""),
        siblings=_lists(base, cpus, "topology/core_cpus_list", "topology/thread_siblings_list"),
        clusters=_lists(base, cpus, "topology/cluster_cpus_list"),
        nodes=_nodes(root / "sys/devices/system/node"),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _last_level(cpu: Path) -> tuple[str, str]:
    """CPU list and size of the highest cache; empty strings where sysfs has no caches."""
    indexes = sorted(cpu.glob("cache/index*"), key=lambda i: int(_text(i / "level") or 0))
    if not indexes:
        return "", ""
    return _text(indexes[-1] / "shared_cpu_list"), _text(indexes[-1] / "size")


def _lists(base: Path, cpus: Iterable[int], *files: str) -> tuple[str, ...]:
    for file in files:
        found = [text for cpu in cpus if (text := _text(base / f"cpu{cpu}" / file))]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


def _nodes(base: Path) -> tuple[str, ...]:
    folders = sorted(base.glob("node[0-9]*"), key=lambda n: int(n.name.removeprefix("node")))
    return tuple(text for node in folders if (text := _text(node / "cpulist")))


def _model(cpuinfo: Path) -> str:
    fields: dict[str, str] = {}
    for line in _text(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields.get("model name") or fields.get("CPU part") or "unknown"


def nearest(seen: Survey, name: str) -> Topology:
    """The nearest shape that the lab can emulate; `not_shown` says what is lost.

    Caches keep their number up to MOST_LLCS and sockets theirs up to two; a cache has at least
    LEAST_CPUS CPUs (the conditions of cache-aware scheduling) and at most MOST_CPUS.
    """
    lost: list[str] = []
    if seen.arch != "x86_64":
        lost.append(f"its architecture ({seen.arch}): shown on amd64")
    llcs = max(1, len(seen.llcs))
    sockets = max(1, len(seen.sockets))
    in_cache = max((len(cpus_in(t)) for t in seen.llcs), default=len(cpus_in(seen.cpus)))
    if not seen.llcs:
        lost.append("its last-level caches: the host does not describe them")
    threads = 2 if any(len(cpus_in(t)) > 1 for t in seen.siblings) else 1
    shown_sockets = 2 if sockets > 1 and llcs > 1 else 1
    shown = min(llcs, MOST_LLCS)
    shown -= shown % shown_sockets
    if sockets > shown_sockets:
        lost.append(f"{sockets} sockets: {shown_sockets} shown")
    if shown != llcs:
        lost.append(f"{llcs} last-level caches: {shown} shown, as emulated CPUs take turns")
    room = min(MOST_CPUS, MOST_VCPUS // shown)
    cores = max(LEAST_CPUS // threads + (threads > 1) * 2, min(in_cache, room) // threads)
    if cores * threads != in_cache:
        lost.append(f"{in_cache} CPUs a cache: {cores * threads} shown")
    nodes = shown_sockets if len(seen.nodes) > 1 and shown_sockets > 1 else 1
    if len(seen.nodes) > nodes:
        lost.append(f"{len(seen.nodes)} NUMA nodes: {nodes} shown")
    if any(1 < len(cpus_in(t)) != threads for t in seen.clusters):
        lost.append("clusters below the last-level cache")
    lost.append(f"the CPU itself ({seen.model}): an emulated model of another maker may stand in")
    lost.append("sizes of caches, and what a miss or a remote node costs")
    return _shape(
        name,
        seen,
        lost,
        sockets=shown_sockets,
        dies=shown // shown_sockets,
        cores=cores,
        threads=threads,
        nodes=nodes,
    )


def _shape(
    name: str,
    seen: Survey,
    lost: list[str],
    *,
    sockets: int,
    dies: int,
    cores: int,
    threads: int,
    nodes: int,
) -> Topology:
    per_llc = cores * threads
    total = sockets * dies * per_llc

    def runs(size: int) -> tuple[str, ...]:
        return tuple(cpu_list(range(at, at + size)) for at in range(0, total, size))

    domains = ["SMT"] if threads > 1 else []
    domains.append("MC")
    if dies > 1:
        domains.append("PKG")
    if sockets > 1:
        domains.append("NUMA" if nodes > 1 else "PKG")
    return Topology(
        name=name,
        description=f"Captured: {len(seen.sockets) or 1} sockets, {len(seen.llcs)} last-level "
        f"caches, {len(cpus_in(seen.cpus))} CPUs",
        arch=Arch.AMD64,
        memory_mib=1024,
        emulator=EmulatedShape("Icelake-Server", sockets, dies, cores, threads),
        truth=ExpectedTruth(
            llcs=runs(per_llc),
            siblings=runs(threads) if threads > 1 else (),
            nodes=runs(total // nodes),
            domains=tuple(dict.fromkeys(domains)),
            cache_aware=sockets * dies > 1,
        ),
        stands_for=seen.model,
        not_shown=tuple(lost),
    )
