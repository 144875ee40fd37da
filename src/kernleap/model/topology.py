"""Shapes of machines: which CPUs share what. Data, and the little arithmetic on it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kernleap.model.kernel import Arch

MAX_CPUS = 64
"""`MAX_CPUS` of native/guest/placement/cpus.h."""

_LIST = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def cpus_in(text: str) -> tuple[int, ...]:
    """The CPUs of a list as the kernel writes it (`0-5,12`), in its order.

    Raises:
        ValueError: it is no such list.
    """
    if not _LIST.fullmatch(text):
        raise ValueError(f"{text!r} is no list of CPUs such as 0-5,12")
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def cpu_list(cpus: Iterable[int]) -> str:
    """The inverse of `cpus_in`: sorted, runs joined."""
    parts: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


@dataclass(frozen=True, slots=True)
class EmulatedShape:
    """What the emulator is told: its CPU model and how CPUs nest."""

    cpu: str
    sockets: int
    dies: int
    """In each socket."""
    cores: int
    """In each die, or in each cluster where there are several."""
    threads: int
    """In each core."""
    clusters: int = 1
    """In each socket; machines that know clusters know no dies."""

    @property
    def cpus(self) -> int:
        """Logical CPUs."""
        return self.sockets * self.dies * self.clusters * self.cores * self.threads


@dataclass(frozen=True, slots=True)
class ExpectedTruth:
    """What the guest's kernel must say of itself, or the trial is invalid."""

    llcs: tuple[str, ...]
    """Lists of the CPUs that share a last-level cache."""
    siblings: tuple[str, ...]
    """Lists of the CPUs that share a core; empty without SMT."""
    nodes: tuple[str, ...]
    """Lists of the CPUs of each NUMA node."""
    domains: tuple[str, ...]
    """Names of the scheduling domains of every CPU, from the smallest."""
    cache_aware: bool
    """Whether a kernel that knows cache-aware scheduling switches it on here."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A named machine shape. Equal topologies give equal emulated machines."""

    name: str
    description: str
    arch: Arch
    memory_mib: int
    emulator: EmulatedShape
    truth: ExpectedTruth
    stands_for: str = ""
    """The machines that it is meant to show."""
    not_shown: tuple[str, ...] = ()
    """What those machines have and the emulated one has not."""

    def __post_init__(self) -> None:
        """Refuse a shape that contradicts itself; ValueError says how."""
        every = tuple(range(self.emulator.cpus))
        if not 1 <= len(every) <= MAX_CPUS:
            raise ValueError(f"{len(every)} CPUs; a guest may have 1 to {MAX_CPUS}")
        for what, lists in (
            ("llcs", self.truth.llcs),
            ("siblings", self.truth.siblings),
            ("nodes", self.truth.nodes),
        ):
            if not lists and what == "siblings":
                continue
            if sorted(cpu for text in lists for cpu in cpus_in(text)) != list(every):
                raise ValueError(f"{what} must name each of the CPUs 0-{len(every) - 1} once")
        if bool(self.truth.siblings) != (self.emulator.threads > 1):
            raise ValueError("siblings are named exactly where a core has several threads")
        if self.memory_mib < 256 * len(self.truth.nodes):
            raise ValueError("each NUMA node needs 256 MiB")

    @property
    def cpus(self) -> int:
        """Logical CPUs."""
        return self.emulator.cpus

    @property
    def llc_cpus(self) -> int:
        """CPUs of the smallest last-level cache."""
        return min(len(cpus_in(text)) for text in self.truth.llcs)

    def llc_of(self) -> dict[int, int]:
        """The number of a CPU's last-level cache, by CPU."""
        return {cpu: number for number, text in enumerate(self.truth.llcs) for cpu in cpus_in(text)}
