"""The metrics of counted regions: declared once, here; docs/metrics.md is generated from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kernleap.model.kernel import Arch
from kernleap.model.metric import Better, Grade, Metric, Role, qualified
from kernleap.model.run import Region as PlannedRegion
from kernleap.model.topology import Topology
from kernleap.workload.allreduce.region import AllreduceRegion
from kernleap.workload.placement import PlacementRegion, SizedRegion, sized
from kernleap.workload.serving.region import ServingRegion
from kernleap.workload.serving.timed import TimedRegion
from kernleap.workload.spec import Region

PRIMARY = "kernel_instructions"
"""The quantity that carries verdicts."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """The last part of a metric's name: what is counted for each operation."""

    name: str
    unit: str
    description: str


INSTRUCTIONS: tuple[Quantity, ...] = (
    Quantity(
        PRIMARY,
        "instructions/op",
        "Instructions executed at kernel addresses, by all processes, from the end of the previous "
        "operation to the end of this one. REP string instructions and hardware interrupts are "
        "left out.",
    ),
    Quantity(
        "user_instructions",
        "instructions/op",
        "Instructions executed at user addresses in the same span. The programs are the same for "
        "all kernels, so this moves only where the kernel makes them do something else.",
    ),
    Quantity(
        "rep_iterations",
        "iterations/op",
        "Iterations of REP string instructions (copying and clearing) of the kernel. The emulator "
        "executes each iteration like an instruction, a processor does not: never added to "
        "instructions.",
    ),
    Quantity(
        "interrupt_instructions",
        "instructions/op",
        "Kernel instructions and REP iterations of hardware interrupts, from their entry to their "
        "return or to a call of the scheduler. When a tick falls is a matter of guest time and "
        "not of the operation that it hits, so they are in no other count but the interrupts.",
    ),
)

EVENTS: tuple[Quantity, ...] = (
    Quantity("syscalls", "events/op", "Entries into the kernel by a system call."),
    Quantity("schedules", "events/op", "Calls of the scheduler, whether or not it switched."),
    Quantity("switches", "events/op", "Context switches from one thread to another."),
    Quantity("wakeups", "events/op", "Attempts to wake a thread."),
    Quantity("interrupts", "events/op", "Device and timer interrupts."),
    Quantity("faults", "events/op", "Page faults."),
    Quantity("softirqs", "events/op", "Runs of pending soft interrupts."),
    Quantity("ipis", "events/op", "Interrupts from one processor to another."),
)
"""In the order of the event ids of the counting protocol."""

_SAME_EVERYWHERE = {"user_instructions": "median", "interrupt_instructions": "mean"}

ROLES: dict[Role, str] = {
    Role.PATH: "the length of a path that no schedule changes: carries verdicts",
    Role.SCHEDULED: "a path through the fair scheduler: judged with its spread over seeds",
    Role.BEHAVIOUR: "how the system behaves: reported, never better or worse",
}


Measured = Region | ServingRegion | TimedRegion | PlacementRegion | SizedRegion | AllreduceRegion
_MEANINGLESS = {Arch.ARM64: ("rep_iterations",)}
"""What an architecture has nothing of, by the beginning of the quantity's name."""


def fitted(regions: Iterable[Measured], topology: Topology | None) -> tuple[Measured, ...]:
    """The regions, those of placement sized for the shape where there is one.

    Raises:
        UsageError: a placement workload does not fit the shape.
    """
    return tuple(
        sized(region, topology) if topology and isinstance(region, PlacementRegion) else region
        for region in regions
    )


def planned_for(regions: Iterable[Measured], arch: Arch = Arch.AMD64) -> tuple[PlannedRegion, ...]:
    """`regions` as a plan carries them, under the names that they have on `arch`."""
    return tuple(
        replace(planned, name=qualified(planned.name, arch))
        for planned in (region.planned for region in regions)
    )


def metrics_for(regions: Iterable[Measured], arch: Arch = Arch.AMD64) -> tuple[Metric, ...]:
    """Every metric of `regions` on `arch`, region by region, `kernel_instructions` first.

    How the samples of a boot become one value:

    - `kernel_instructions` of a path: the **mode**. Background work that a tick makes run in an
      operation makes it an outlier; the commonest count is the path itself, and has an exact
      profile.
    - `kernel_instructions` of a workload whose entry says so: the **median** or the **mean**,
      because no single operation is typical of it.
    - other instruction counts: the (lower) **median**, as operations of several kinds may
      alternate; REP iterations like the kernel instructions beside them.
    - `interrupt_instructions`: the **mean**, a rate: most operations meet no interrupt.
    - events where the schedule is fixed (`1p`, `2p-fifo`): the **median**, which a stray tick
      cannot move; where it is not, the **mean**, a rate.
    """
    return tuple(
        replace(metric, name=qualified(metric.name, arch))
        for region in regions
        for metric in _metrics_of(region)
        if not metric.quantity.startswith(_MEANINGLESS.get(arch, ()))
    )


def _metrics_of(region: Measured) -> Iterable[Metric]:
    if isinstance(region, TimedRegion | PlacementRegion | SizedRegion | AllreduceRegion):
        yield from region.metrics()
        return
    if isinstance(region, ServingRegion):
        yield from region.metrics(
            tuple((q.name, q.unit, q.description) for q in (*INSTRUCTIONS, *EVENTS))
        )
        return
    fixed_schedule = region.role is Role.PATH
    of_kernel = region.spec.aggregation or ("mode" if fixed_schedule else "median")
    for quantity in INSTRUCTIONS:
        primary = quantity.name == PRIMARY
        yield Metric(
            name=f"{region.name}/{quantity.name}",
            unit=quantity.unit,
            better=Better.LOWER
            if primary and region.role is not Role.BEHAVIOUR
            else Better.NEITHER,
            grade=Grade.COUNTED,
            role=region.role if primary else Role.BEHAVIOUR,
            aggregation=_SAME_EVERYWHERE.get(quantity.name, of_kernel),
            description=quantity.description,
        )
    for event in EVENTS:
        yield Metric(
            name=f"{region.name}/{event.name}",
            unit=event.unit,
            better=Better.NEITHER,
            grade=Grade.COUNTED,
            role=Role.BEHAVIOUR,
            aggregation="median" if fixed_schedule else "mean",
            description=event.description,
        )
