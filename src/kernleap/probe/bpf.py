"""Exact times by tracepoints, through bpftrace: system calls, waiting for a CPU, softirqs.

Needs bpftrace, root and tracefs; no kprobes and no BTF. Tracepoints cost time at every event, so
that it is started for a stretch of time and ended after it; what it costs must be measured.

A system call's time is from its entry to its exit, without what the thread spent off the CPU. The
kernel drops an event now and then, a few in a million; a call in which a thread came back without
having left, or the other way round, is counted and not timed: its sleep would be taken for work. A
thread waits for a CPU from its wakeup, or from losing the CPU while it could go on, until it runs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from kernleap.model.cpu_samples import CallUse, TracedUse
from kernleap.model.errors import InfrastructureError

# include/linux/interrupt.h
SOFTIRQS = ("hi", "timer", "net_tx", "net_rx", "block", "irq_poll", "tasklet", "sched", "hrtimer",
            "rcu")  # fmt: skip
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO
_START_S = 30.0
_END_S = 20.0
_LEAVE_S = 900
_SWITCH = "getppid"
# It says something now and then, because bpftrace may sleep through a signal until the next event.
# What it counts is switched on and off by a system call of ours that nobody else makes here, so
# that the edges are exact: probes are attached and detached one after another.
# It clears no map at its end: while events come, a map that they change may never be empty.
_PROGRAM = """\
BEGIN {{ {seed} @on = 0; }}
tracepoint:raw_syscalls:sys_enter /pid == {own} && args->id == {switch}/ {{
  if (@on) {{ @on = 0; @until = nsecs; }} else {{ @from = nsecs; @on = 1; }}
}}
tracepoint:raw_syscalls:sys_enter /@watched[pid] && @on/ {{
  @entered[tid] = nsecs; @call[tid] = args->id; @away[tid] = (uint64)0;
}}
tracepoint:raw_syscalls:sys_exit /@entered[tid]/ {{
  if (@on) {{
    @calls[@call[tid]] = count();
    if (@spoilt[tid] || @left[tid]) {{ @untimed = count(); }}
    else {{ @call_ns[@call[tid]] = sum(nsecs - @entered[tid] - @away[tid]); }}
  }}
  delete(@entered[tid]); delete(@call[tid]); delete(@away[tid]); delete(@left[tid]);
  delete(@spoilt[tid]);
}}
tracepoint:sched:sched_switch /@on/ {{
  $now = nsecs;
  if (@watched[pid]) {{
    @mine[args->prev_pid] = 1;
    if ((args->prev_state & 0xff) == 0) {{ @ready[args->prev_pid] = $now; }}
    if (@entered[args->prev_pid]) {{ @left[args->prev_pid] = $now; }}
  }}
  $next = args->next_pid;
  if (@ready[$next]) {{
    @wait_ns = sum($now - @ready[$next]);
    @waits = count();
    @wait = hist($now - @ready[$next]);
    delete(@ready[$next]);
  }}
  if (@left[$next]) {{ @away[$next] += $now - @left[$next]; delete(@left[$next]); }}
  else if (@entered[$next]) {{ @spoilt[$next] = 1; }}
}}
tracepoint:sched:sched_wakeup /@mine[args->pid] && @on/ {{ @ready[args->pid] = nsecs; }}
tracepoint:irq:softirq_entry /@on/ {{ @softirq[cpu] = nsecs; }}
tracepoint:irq:softirq_exit /@softirq[cpu]/ {{
  if (@on) {{ @softirq_ns[args->vec] = sum(nsecs - @softirq[cpu]); }}
  delete(@softirq[cpu]);
}}
interval:ms:250 {{ printf("\\n"); }}
interval:s:{limit} {{ exit(); }}
"""


def bpf_problem() -> str | None:
    """Why tracepoints cannot be used here, and what to do; None where they can."""
    if shutil.which("bpftrace") is None:
        return "there is no bpftrace here: install the package of that name"
    if os.geteuid() != 0:
        return "bpftrace needs root"
    if platform.machine() not in _names():
        return f"the numbers of system calls of {platform.machine()} are not known"
    # Process numbers of tracepoints are those of the initial namespace.
    with suppress(OSError):
        if str(Path("/proc/self/ns/pid").readlink()) != _INITIAL_PID_NAMESPACE:
            return "in a container, process numbers are not those that tracepoints tell"
    if not _has_tracefs():
        return "there is no tracefs: mount -t tracefs tracefs /sys/kernel/tracing"
    return None


class Tracing:
    """A bpftrace that counts from its making until `end`.

    Args:
        pids: the processes whose calls and waits count; those they start later do not.

    Raises:
        InfrastructureError: bpftrace does not start, or the kernel refuses the program.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._words = b""
        self._process = _start(program(pids, _threads(pids), os.getpid()))
        try:
            self._await_attached()
        except BaseException:
            self.kill()
            raise
        os.getppid()

    def end(self) -> TracedUse:
        """What was counted.

        Raises:
            InfrastructureError: bpftrace ended badly, or said nothing that can be read.
        """
        os.getppid()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            out, errors = self._process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise InfrastructureError("bpftrace does not end") from error
        if self._process.returncode:
            raise _failed(errors)
        lines = (self._words + out).decode("utf-8", "replace").splitlines()
        return read_maps(lines)

    def kill(self) -> None:
        """End it without a result."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _await_attached(self) -> None:
        deadline = time.monotonic() + _START_S
        assert self._process.stdout is not None
        # It announces its probes before it attaches them. The second beat of its clock, itself one
        # of them, is a quarter of a second after all are attached.
        while self._words.count(b'"printf"') < 2:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise InfrastructureError("bpftrace does not start", cause=f"{_START_S:g} s passed")
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                raise _failed(self._process.communicate()[1])
            self._words += piece


def program(pids: Iterable[int], tids: Iterable[int], own: int) -> str:
    """The program that watches these processes and their threads; `own` switches it."""
    seed = [f"@watched[{pid}] = 1;" for pid in pids] + [f"@mine[{tid}] = 1;" for tid in tids]
    numbers = {name: number for number, name in _names().get(platform.machine(), {}).items()}
    return _PROGRAM.format(seed=" ".join(seed), own=own, switch=numbers[_SWITCH], limit=_LEAVE_S)


def read_maps(lines: Iterable[str]) -> TracedUse:
    """Read what `bpftrace -f json` prints at its end.

    Raises:
        InfrastructureError: a map is not of the form it must have.
    """
    maps: dict[str, Any] = {}
    try:
        for line in lines:
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            if message.get("type") in ("map", "hist"):
                maps |= message["data"]
        calls = _numbers(maps.get("@calls", {}))
        times = _numbers(maps.get("@call_ns", {}))
        used = [CallUse(call_name(number), calls[number], times.get(number, 0)) for number in calls]
        return TracedUse(
            began_ns=int(maps["@from"]),
            ended_ns=int(maps["@until"]),
            calls=tuple(sorted(used, key=lambda use: (-use.cpu_ns, use.name))),
            untimed=int(maps.get("@untimed", 0)),
            waits=int(maps.get("@waits", 0)),
            wait_ns=int(maps.get("@wait_ns", 0)),
            wait_histogram={int(b.get("min", 0)): int(b["count"]) for b in maps.get("@wait", [])},
            softirq_ns={
                SOFTIRQS[vector] if 0 <= vector < len(SOFTIRQS) else str(vector): value
                for vector, value in _numbers(maps.get("@softirq_ns", {})).items()
            },
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InfrastructureError(
            "bpftrace's counts cannot be read", cause=f"{type(error).__name__}: {error}"[:200]
        ) from error


def call_name(number: int, machine: str | None = None) -> str:
    """The name of a system call of this (or another) architecture; `#NUMBER` if not known."""
    return _names().get(machine or platform.machine(), {}).get(number, f"#{number}")


@lru_cache(maxsize=1)
def _names() -> dict[str, dict[int, str]]:
    text = resources.files("kernleap.probe").joinpath("syscalls.txt").read_text("utf-8")
    tables: dict[str, dict[int, str]] = {}
    for paragraph in re.split(r"\n\n+", text.strip())[1:]:
        machine, *words = paragraph.split()
        table = tables[machine] = {}
        number = 0
        for word in words:
            if word.endswith(":"):
                number = int(word[:-1])
            else:
                table[number] = word
                number += 1
    return tables


def _numbers(raw: dict[str, Any]) -> Mapping[int, int]:
    return {int(key): int(value) for key, value in raw.items()}


def _threads(pids: Iterable[int]) -> list[int]:
    found: list[int] = []
    for pid in pids:
        with suppress(OSError):
            found += map(int, os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return found


def _has_tracefs() -> bool:
    return any(
        Path(directory, "events/raw_syscalls").is_dir()
        for directory in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
    )


def _start(text: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["bpftrace", "-f", "json", "-e", text],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            process_group=0, env={**os.environ, "LC_ALL": "C", "BPFTRACE_MAP_KEYS_MAX": "65536"},
        )  # fmt: skip
    except OSError as error:
        raise InfrastructureError("bpftrace cannot be started", cause=error.strerror) from error


def _failed(errors: bytes) -> InfrastructureError:
    return InfrastructureError(
        "bpftrace failed",
        cause=errors.decode("utf-8", "replace").strip()[-500:] or "it said nothing",
        next_step="measure without it: --probe perf, or --probe none",
    )
