"""What the counting plugin counted in a boot, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES = ("server", "client")
"""Whose operations are told apart, in the order of the file."""


@dataclass(frozen=True, slots=True, eq=False)
class VariantCounts:
    """Exact counts by instruction address, summed over the operations of one variant.

    `places` (into the region's `addresses`) and `counts` have shape (entries,); counts are
    above 0.
    """

    operations: int
    places: NDArray[np.uint32]
    counts: NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class SideCounts:
    """What of a region's operations one side did, outside interruptions.

    `kernel`, `user`, `rep` have shape (operations,), uint64; `events` (operations, 8), uint32;
    `profile` is over all operations.
    """

    kernel: NDArray[np.uint64]
    user: NDArray[np.uint64]
    rep: NDArray[np.uint64]
    events: NDArray[np.uint32]
    profile: VariantCounts


@dataclass(frozen=True, slots=True, eq=False)
class RegionCounts:
    """One region. Arrays over operations are in execution order.

    Attributes:
        index: number of the region in the boot, from 0, in order of its BEGIN.
        kernel, user, rep: per operation, shape (operations,), uint64. Kernel instructions
            exclude REP string iterations, which are `rep`. None holds what ran inside
            interruptions (hardware interrupts; native/plugin/running.h says when they end).
        interrupt: per operation, shape (operations,), uint64: kernel instructions and REP
            iterations inside interruptions.
        events: per operation, shape (operations, 8), uint32, in the order of `EVENTS`. Of
            what happened inside interruptions only interrupts, ipis and faults count.
        variant: per operation the index into `variants`, -1 for the rest, int32.
        variants: the commonest variants (at most 16), commonest first. All operations of
            one have equal kernel, rep and events other than interrupts and ipis.
        rest: all other operations together (0 operations where there are none).
        variants_seen: how many variants the region had.
        addresses, repeats: the kernel addresses that ran and whether each holds a repeated
            string instruction, shape (addresses,). Address 0 stands for addresses beyond
            the plugin's bound.
        warnings: what was bounded, in words.
        sides: server and client, where the guest runs a service (native/plugin/tasks.h tells
            whose a task is), else none. What is left of the total is the rest: kernel threads,
            the idle task, PID 1.
    """

    index: int
    kernel: NDArray[np.uint64]
    user: NDArray[np.uint64]
    rep: NDArray[np.uint64]
    interrupt: NDArray[np.uint64]
    events: NDArray[np.uint32]
    variant: NDArray[np.int32]
    variants: tuple[VariantCounts, ...]
    rest: VariantCounts
    variants_seen: int
    addresses: NDArray[np.uint64]
    repeats: NDArray[np.bool_]
    warnings: tuple[str, ...]
    sides: tuple[SideCounts, ...] = ()

    @property
    def operations(self) -> int:
        """How many operations the region recorded."""
        return len(self.kernel)


@dataclass(frozen=True, slots=True, eq=False)
class CountedFile:
    """A whole boot's counts.

    Attributes:
        abi: QEMU plugin API that the plugin was built for.
        api: (oldest, newest) API that the QEMU which ran it accepts.
        target: QEMU's name of the guest architecture.
        armed: whether the guest ever turned counting on.
        event_addresses: how many event addresses the guest sent.
        totals: kernel, user, rep and the events since arming, interruptions included.
        errors: violations of the marker protocol, in words; non-empty means the guest
            misbehaved and the boot's counts should not be used.
    """

    regions: tuple[RegionCounts, ...]
    abi: int
    api: tuple[int, int]
    target: str
    armed: bool
    event_addresses: int
    totals: dict[str, int]
    errors: tuple[str, ...]
