"""How often the threads of a process tree wake another: the tracepoint sched:sched_waking.

It is counted, not recorded (perf_event_open(2)), by one counter for each thread that lives when
counting begins; threads and processes that those start are counted with them. sched_waking fires
in the thread that wakes, sched_wakeup sometimes on the CPU of the one that is woken.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_EVENT = "events/sched/sched_waking/id"
_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_SYSCALL = {"x86_64": 298, "aarch64": 241}
_TYPE_TRACEPOINT = 2
_SIZE = 64
"""PERF_ATTR_SIZE_VER0: every kernel takes it."""
_INHERIT = 1 << 1
_CLOEXEC = 1 << 3


@dataclass(slots=True)
class WakeupCounter:
    """Counts from its making to `close`. `problem` says why it does not, "" where it does."""

    problem: str = ""
    _descriptors: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, threads: Iterable[int], tracefs: Iterable[Path] = _TRACEFS) -> WakeupCounter:
        """Count what these threads (ids) do from now on. Never fails; see `problem`."""
        event = _event_id(tracefs)
        number = _SYSCALL.get(os.uname().machine)
        if event is None or number is None:
            return cls("the tracepoint sched:sched_waking cannot be seen (tracefs, root)")
        counter = cls()
        # type, size, config, sample_period, sample_type, read_format, flags, the rest: 0.
        head = struct.pack("=IIQQQQQ", _TYPE_TRACEPOINT, _SIZE, event, 0, 0, 0, _INHERIT)
        attributes = ctypes.create_string_buffer(head.ljust(_SIZE, b"\0"), _SIZE)
        libc = ctypes.CDLL(None, use_errno=True)
        for thread in threads:
            found = libc.syscall(
                ctypes.c_long(number), attributes, ctypes.c_int(thread), ctypes.c_int(-1),
                ctypes.c_int(-1), ctypes.c_ulong(_CLOEXEC),
            )  # fmt: skip
            if found >= 0:
                counter._descriptors.append(found)
            elif (error := ctypes.get_errno()) != 3:  # ESRCH: it has ended meanwhile
                counter.close()
                return cls(f"perf_event_open refuses: {os.strerror(error)}")
        return counter if counter._descriptors else cls("there is no thread to count")

    def read(self) -> int | None:
        """Wakeups so far; None where they are not counted."""
        if not self._descriptors:
            return None
        return sum(int.from_bytes(os.read(fd, 8), sys.byteorder) for fd in self._descriptors)

    def close(self) -> None:
        """Stop counting."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def _event_id(tracefs: Iterable[Path]) -> int | None:
    for root in tracefs:
        try:
            return int((root / _EVENT).read_text())
        except (OSError, ValueError):
            continue
    return None
