"""Kinds of machines, by name: each registers itself from its own file in `machine/kinds`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from kernleap.kernel import Progress
from kernleap.machine.base import Machine
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs
from kernleap.workload.allreduce.region import AllreduceRegion
from kernleap.workload.needs import Needs
from kernleap.workload.placement import PlacementRegion
from kernleap.workload.serving.region import ServingRegion
from kernleap.workload.serving.timed import TimedRegion
from kernleap.workload.spec import Region

Regions = tuple[Region | ServingRegion | TimedRegion | PlacementRegion | AllreduceRegion, ...]


class Kind(Protocol):
    """A kind of machine. One instance each, registered at import."""

    name: str
    summary: str
    """What it is, in a few words, for people."""
    suites: tuple[str, ...]
    """What a run on it measures when nobody says which suites."""
    emulated: bool
    """Whether its architecture, processor and shape can be chosen."""
    jobs: int | None
    """Trials at once, at most; None: as many as there are CPUs."""

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:
        """The machine of this kind on which a suite with these needs runs.

        Raises:
            UsageError: such a suite cannot run on it.
        """
        ...

    def regions(self, suite: str, chosen: Regions, serving: TimedRegion | None) -> Regions:
        """What of a suite runs on it.

        Args:
            suite: its name.
            chosen: regions of the suite as the catalogue has them.
            serving: how the command line wants serving done on real machines, if it says so.

        Raises:
            UsageError: such a suite, or such serving, cannot run on it.
        """
        ...

    def check(self, refs: Sequence[KernelRef]) -> tuple[str, ...]:
        """Find out before a run whether these kernels can run on it; notes for people.

        Raises:
            UsageError: one of them cannot.
            InfrastructureError: the machine is not as it should be.
        """
        ...

    def image(
        self, ref: KernelRef, spec: MachineSpec, offline: bool, progress: Progress | None
    ) -> KernelImage:
        """The kernel of a reference without modifiers. Raises as kernleap.kernel.obtain."""
        ...

    def image_again(
        self, one: ArmInputs, spec: MachineSpec, offline: bool, progress: Progress | None
    ) -> KernelImage:
        """The very kernel of an earlier run. Raises as kernleap.kernel.obtain_by_digest."""
        ...

    def open(self, spec: MachineSpec) -> Machine:
        """Get the machine ready.

        Raises:
            InfrastructureError: it cannot be had here.
            UsageError: the spec asks for what it does not have.
        """
        ...


_KINDS: dict[str, Kind] = {}
_K = TypeVar("_K", bound=type)


def register(kind_class: _K) -> _K:
    """Class decorator: enter one instance of a kind under its name."""
    instance: Kind = kind_class()
    _KINDS[instance.name] = instance
    return kind_class


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        UsageError: there is none; the error lists what there is.
    """
    known = kinds()
    for kind in known:
        if kind.name == name:
            return kind
    raise UsageError(
        f"There is no kind of machine {name!r}",
        where="--machine",
        cause="known: " + ", ".join(f"{kind.name} ({kind.summary})" for kind in known),
    )


def kinds() -> tuple[Kind, ...]:
    """Every registered kind, by name."""
    # Importing the package imports each of its modules, which register themselves.
    import kernleap.machine.kinds  # noqa: F401, PLC0415

    return tuple(_KINDS[name] for name in sorted(_KINDS))


def machine_for(spec: MachineSpec) -> Machine:
    """The machine that a spec describes, ready for trials.

    Raises:
        UsageError: no such kind, or it does not have what the spec asks for.
        InfrastructureError: it cannot be had here.
    """
    return kind_of(spec.kind).open(spec)
