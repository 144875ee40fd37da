"""What `perf script` prints, read with suspicion: names in it are chosen by the programs sampled.

Only fields that a program cannot choose are asked for: numbers, addresses, and symbols, of which
kernel ones (upper half of the address space) are kept. A header has the form

    PID/TID SECONDS.NANOSECONDS: PERIOD

and is followed by one line `ADDRESS SYMBOL` for each frame, the innermost first. Everything else is
counted as unread. Versions differ in blanks and in `[unknown]`; both are allowed for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kernleap.model.cpu_samples import StackSample

FIELDS = "pid,tid,time,period,ip,sym"
UNKNOWN = "[unknown]"
_HEADER = re.compile(r"\s*(-?\d{1,10})/(-?\d{1,10})\s+(\d{1,12})\.(\d{9}):\s+(\d{1,18})\s*")
_FRAME = re.compile(r"\s+([0-9a-f]{1,16})(?:\s+(.*))?")
_SYMBOL = re.compile(r"[A-Za-z_.$][\w.$]{0,255}")
_LOST = re.compile(r".*PERF_RECORD_LOST(?:_SAMPLES)?\b.*?\blost (\d{1,15})\s*")
_KERNEL = 1 << 63
_DEPTH_MOST = 1024


@dataclass(slots=True)
class ScriptText:
    """What was understood of the text so far."""

    samples: list[StackSample] = field(default_factory=list)
    lost: int = 0
    unread: int = 0


def read_script(lines: Iterable[str]) -> ScriptText:
    """Read the lines of `perf script --ns -F pid,tid,time,period,ip,sym --show-lost-events`."""
    found = ScriptText()
    header: tuple[int, int, int, int] | None = None
    frames: list[str] = []

    def close() -> None:
        if header is not None:
            pid, tid, at_ns, period = header
            found.samples.append(StackSample(at_ns, pid, tid, period, tuple(frames)))

    for raw in lines:
        line = raw.rstrip("\n")
        if not line.strip():
            close()
            header, frames = None, []
        elif match := _HEADER.fullmatch(line):
            close()
            pid, tid, seconds, nanos, period = map(int, match.groups())
            header, frames = (pid, tid, seconds * 10**9 + nanos, period), []
        elif header is not None and (match := _FRAME.fullmatch(line)):
            _add_frame(frames, int(match[1], 16), match[2] or "")
        elif match := _LOST.fullmatch(line):
            found.lost += int(match[1])
        else:
            found.unread += 1
    close()
    return found


def _add_frame(frames: list[str], address: int, text: str) -> None:
    if not address & _KERNEL or len(frames) == _DEPTH_MOST:
        return
    # The name may be followed by an offset, on versions that were told to print one.
    symbol = _SYMBOL.match(text)
    frames.append(symbol[0] if symbol else UNKNOWN)
