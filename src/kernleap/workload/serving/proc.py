"""Reading /proc: processes, their descendants and their own accounts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(slots=True)
class Process:
    """One reading of a process. Times in ticks include awaited children, `cpu_ns` does not.

    `children_ticks` is what those children used; `started` tells processes of one id apart.
    """

    parent: int
    started: int
    cpu_ns: int
    children_ticks: int
    user_ticks: int
    kernel_ticks: int
    minor_faults: int
    major_faults: int


def descendants(root: int) -> list[int]:
    """`root` and every process below it, parents first; empty if there is no such process."""
    if not (_PROC / str(root)).exists():
        return []
    found = [root]
    try:
        for pid in found:
            found += _children(pid)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return descendants_by_parent(root)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        tids = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  (hot path)
    except OSError:
        return children
    for tid in tids:
        try:
            children += map(int, read_text(f"/proc/{pid}/task/{tid}/children").split())
        except (ProcessLookupError, PermissionError):
            continue
        except FileNotFoundError:
            if Path(f"/proc/{pid}/task/{tid}").exists():
                raise
    return children


def descendants_by_parent(root: int) -> list[int]:
    """The same by a look at every process, for kernels without lists of children."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  (hot path)
        if entry.isdigit() and (fields := stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def read_process(pid: int) -> Process | None:
    """A process's account now, None if there is no such process."""
    fields = stat_fields(pid)
    if fields is None:
        return None
    user, kernel, child_user, child_kernel = (int(text) for text in fields[11:15])
    try:
        # include/linux/posix-timers_types.h: a process's clock is ~pid << 3 | CPUCLOCK_SCHED.
        cpu_ns = time.clock_gettime_ns(~pid << 3 | 2)
    except OSError:
        cpu_ns = (user + kernel) * TICK_NS
    return Process(
        parent=int(fields[1]),
        started=int(fields[19]),
        cpu_ns=cpu_ns,
        children_ticks=child_user + child_kernel,
        user_ticks=user + child_user,
        kernel_ticks=kernel + child_kernel,
        minor_faults=int(fields[7]) + int(fields[8]),
        major_faults=int(fields[9]) + int(fields[10]),
    )


def stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on, as proc_pid_stat(5) numbers them."""
    try:
        # A process may have blanks and brackets in its name.
        return read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return None


def read_text(path: str) -> str:
    """A file's text, whatever its bytes. OSError as of open."""
    with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123  (hot path)
        return stream.read()
