"""Events of an operation: which kernel functions' entries count as what."""

from __future__ import annotations

import re
from collections.abc import Iterable

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

# An event may be entered through one of several functions, depending on the kernel's age.
# Of the alternatives of `_ONE_OF` only the first that the kernel has counts.
_ONE_OF: dict[str, tuple[str, ...]] = {"softirqs": ("handle_softirqs", "__do_softirq")}
_ENTRIES: dict[str, re.Pattern[str]] = {
    "syscalls": re.compile(r"entry_SYSCALL_64"),
    "schedules": re.compile(r"__schedule"),
    "switches": re.compile(r"__switch_to"),
    "wakeups": re.compile(r"try_to_wake_up"),
    "interrupts": re.compile(r"asm_common_interrupt|asm_sysvec_(?!.*(call_function|reschedule)).+"),
    "faults": re.compile(r"asm_exc_page_fault"),
    "ipis": re.compile(r"asm_sysvec_.*(call_function|reschedule).*"),
}
REQUIRED = ("syscalls", "schedules", "switches", "wakeups", "interrupts", "faults")
"""Events without which a count means too little: every kernel of interest has them."""


def event_entries(kallsyms: Iterable[str]) -> dict[int, tuple[int, ...]]:
    """Event id → sorted entry addresses, from lines `ADDRESS TYPE NAME`.

    Events that this kernel has no function for are absent.
    """
    found: dict[str, set[int]] = {}
    alternatives: dict[str, int] = {}
    wanted = {name for names in _ONE_OF.values() for name in names}
    for line in kallsyms:
        parts = line.split()
        if len(parts) < 3:
            continue
        if parts[2] in wanted:
            alternatives[parts[2]] = int(parts[0], 16)
        for event, pattern in _ENTRIES.items():
            if pattern.fullmatch(parts[2]):
                found.setdefault(event, set()).add(int(parts[0], 16))
    for event, names in _ONE_OF.items():
        if first := next((n for n in names if n in alternatives), None):
            found[event] = {alternatives[first]}
    return {EVENTS.index(event): tuple(sorted(found[event])) for event in EVENTS if event in found}
