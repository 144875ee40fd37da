"""Events of an operation: which kernel functions' entries count as what."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from kernleap.model.kernel import Arch

EVENTS: tuple[str, ...] = (
    "syscalls",
    "schedules",
    "switches",
    "wakeups",
    "interrupts",
    "faults",
    "softirqs",
    "ipis",
)
"""Names of the events; the position is the id that guest and plugin use."""

SIDED_EVENTS = ("syscalls", "switches", "wakeups")
"""Those that are told for server and client apart."""


@dataclass(frozen=True, slots=True)
class _Entries:
    """Which code makes an event on one architecture.

    Attributes:
        named: event to the names of functions; each one that the kernel has counts.
        one_of: event to names of which only the first that the kernel has counts: depending
            on the kernel's age one calls the other.
        vectors: event to (tables, offsets): exception vector tables, of which a symbol may
            hold several, one behind the other, and offsets into each of them.
    """

    named: dict[str, re.Pattern[str]]
    one_of: dict[str, tuple[str, ...]]
    vectors: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = field(default_factory=dict)


_SOFTIRQS = ("handle_softirqs", "__do_softirq")
_TABLE_BYTES = 0x800  # of an arm64 vector table: 16 entries of 0x80
_EL1_IRQ, _EL0_IRQ = 0x280, 0x480  # interrupts from the kernel, from 64-bit user space

_ENTRIES: dict[Arch, _Entries] = {
    Arch.AMD64: _Entries(
        named={
            "syscalls": re.compile(r"entry_SYSCALL_64"),
            "schedules": re.compile(r"__schedule"),
            "switches": re.compile(r"__switch_to"),
            "wakeups": re.compile(r"try_to_wake_up"),
            "interrupts": re.compile(
                r"asm_common_interrupt|asm_sysvec_(?!.*(call_function|reschedule)).+"
            ),
            "faults": re.compile(r"asm_exc_page_fault"),
            "ipis": re.compile(r"asm_sysvec_.*(call_function|reschedule).*"),
        },
        one_of={"softirqs": _SOFTIRQS},
    ),
    Arch.ARM64: _Entries(
        named={
            "syscalls": re.compile(r"el0_svc"),
            "schedules": re.compile(r"__schedule"),
            "switches": re.compile(r"cpu_switch_to"),
            "wakeups": re.compile(r"try_to_wake_up"),
            "faults": re.compile(r"do_mem_abort"),
        },
        one_of={"softirqs": _SOFTIRQS, "ipis": ("do_handle_IPI", "ipi_handler")},
        # The very first instruction, or an operation that an interrupt hit would be longer by the
        # way from there to the first function. Processors that need a mitigation on the way in
        # from user space use a table of their own; from user space it goes on in the common one,
        # behind the first instruction there.
        vectors={"interrupts": (("vectors", "__bp_harden_el1_vectors"), (_EL1_IRQ, _EL0_IRQ))},
    ),
}
REQUIRED = ("syscalls", "schedules", "switches", "wakeups", "interrupts", "faults")
"""Events without which a count means too little: every kernel of interest has them."""


def event_entries(kallsyms: Iterable[str], arch: Arch = Arch.AMD64) -> dict[int, tuple[int, ...]]:
    """Event id → sorted entry addresses, from lines `ADDRESS TYPE NAME`.

    Events that this kernel has no function for are absent.
    """
    entries = _ENTRIES[arch]
    found: dict[str, set[int]] = {}
    known: dict[str, int] = {}
    for line in kallsyms:
        parts = line.split()
        if len(parts) < 3:
            continue
        known[parts[2]] = address = int(parts[0], 16)
        for event, pattern in entries.named.items():
            if pattern.fullmatch(parts[2]):
                found.setdefault(event, set()).add(address)
    for event, names in entries.one_of.items():
        if first := next((n for n in names if n in known), None):
            found[event] = {known[first]}
    ordered = sorted(known.values()) if entries.vectors else []
    for event, (tables, offsets) in entries.vectors.items():
        for name in tables:
            starts = _tables_at(known[name], ordered) if name in known else ()
            found.setdefault(event, set()).update(at + o for at in starts for o in offsets)
    return {
        EVENTS.index(event): tuple(sorted(found[event])) for event in EVENTS if found.get(event)
    }


def _tables_at(first: int, ordered: list[int]) -> range:
    """Where whole vector tables start from `first` up to the next symbol."""
    after = bisect_right(ordered, first)
    end = ordered[after] if after < len(ordered) else first + _TABLE_BYTES
    return range(first, end - _TABLE_BYTES + 1, _TABLE_BYTES)
