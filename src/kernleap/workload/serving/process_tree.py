"""What a tree of processes has used: CPU time, waiting, switches, faults; from /proc alone.

Sources, and how exact each is:

- CPU time of a process, its ended threads included: its POSIX CPU clock (clock_gettime with
  CPUCLOCK_SCHED, nanoseconds, the scheduler's own account; see posix-cpu-timers.c).
- CPU time of children that have ended and were waited for: `cutime + cstime` of their parent
  in /proc/PID/stat, to two ticks per parent.
- Time on the CPU, time waiting for one, and time slices of a live thread:
  /proc/PID/task/TID/schedstat, nanoseconds.
- Voluntary and involuntary context switches of a live thread: /proc/PID/task/TID/status.
- Minor and major faults: /proc/PID/stat, ended threads and awaited children included.
- User and kernel time apart: `utime`, `stime` of /proc/PID/stat. Their sum is good; where the
  kernel accounts by ticks (most do), the split is a sample of it and unfit for short runs.

Waiting and switches of a thread leave /proc with it. What was last seen of it is kept, so these
sums are lower bounds when threads ended in between; `watch` samples more often and makes the
gap small. How many ended is part of every result.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving.proc import (
    TICK_NS,
    Process,
    descendants,
    read_process,
    read_text,
)


@dataclass(frozen=True, slots=True)
class ThreadSample:
    """A live thread's account since it began."""

    pid: int
    tid: int
    name: str
    run_ns: int
    wait_ns: int
    timeslices: int
    voluntary: int
    involuntary: int


@dataclass(frozen=True, slots=True)
class TreeSample:
    """A tree's account at one moment, cumulative since its processes began.

    Attributes:
        at_ns: CLOCK_MONOTONIC.
        cpu_ns: CPU time of all processes, awaited children included.
        cpu_error_ns: how much `cpu_ns` may be off by what the sources round.
        wait_ns, timeslices: runnable but not running, and turns on a CPU; None where the kernel
            does not say (it lacks CONFIG_SCHED_INFO).
        voluntary, involuntary: context switches.
        user_ns, kernel_ns: CPU time by ticks (see above).
        processes, threads: live ones.
        ended_processes, ended_threads: gone since the first sample.
    """

    at_ns: int
    cpu_ns: int
    cpu_error_ns: int
    wait_ns: int | None
    timeslices: int | None
    voluntary: int
    involuntary: int
    minor_faults: int
    major_faults: int
    user_ns: int
    kernel_ns: int
    processes: int
    threads: tuple[ThreadSample, ...]
    ended_processes: int
    ended_threads: int


@dataclass(frozen=True, slots=True)
class TreeUse:
    """What a tree used between two samples. Fields as in TreeSample.

    `by_thread_name` is CPU time in ns by thread name over threads that live at the end;
    `ended_threads` ended in between, and `wait_ns`, `timeslices`, `voluntary` and `involuntary`
    miss what those did after they were last seen.
    """

    elapsed_ns: int
    cpu_ns: int
    cpu_error_ns: int
    wait_ns: int | None
    timeslices: int | None
    voluntary: int
    involuntary: int
    minor_faults: int
    major_faults: int
    user_ns: int
    kernel_ns: int
    ended_processes: int
    ended_threads: int
    by_thread_name: dict[str, int] = field(default_factory=dict)


def difference(before: TreeSample, after: TreeSample) -> TreeUse:
    """What was used from `before` to `after`, two samples of one account."""

    def known(a: int | None, b: int | None) -> int | None:
        return None if a is None or b is None else b - a

    earlier = {(t.pid, t.tid): t.run_ns for t in before.threads}
    by_name: dict[str, int] = {}
    for thread in after.threads:
        ran = thread.run_ns - min(earlier.get((thread.pid, thread.tid), 0), thread.run_ns)
        by_name[thread.name] = by_name.get(thread.name, 0) + ran
    return TreeUse(
        elapsed_ns=after.at_ns - before.at_ns,
        cpu_ns=after.cpu_ns - before.cpu_ns,
        cpu_error_ns=before.cpu_error_ns + after.cpu_error_ns,
        wait_ns=known(before.wait_ns, after.wait_ns),
        timeslices=known(before.timeslices, after.timeslices),
        voluntary=after.voluntary - before.voluntary,
        involuntary=after.involuntary - before.involuntary,
        minor_faults=after.minor_faults - before.minor_faults,
        major_faults=after.major_faults - before.major_faults,
        user_ns=after.user_ns - before.user_ns,
        kernel_ns=after.kernel_ns - before.kernel_ns,
        ended_processes=after.ended_processes - before.ended_processes,
        ended_threads=after.ended_threads - before.ended_threads,
        by_thread_name=by_name,
    )


@dataclass(slots=True)
class _Carried:
    """What the ended have used and no live process accounts for."""

    cpu_ns: int = 0
    wait_ns: int = 0
    timeslices: int = 0
    voluntary: int = 0
    involuntary: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    user_ticks: int = 0
    kernel_ticks: int = 0
    processes: int = 0
    threads: int = 0


class TreeAccount:
    """The account of `root` and all its descendants, from now on.

    Args:
        root: a process id.
        include_root: whether the root's own use counts; its awaited children always do.

    Raises:
        InfrastructureError: there is no such process.
    """

    def __init__(self, root: int, *, include_root: bool = True) -> None:
        self._root = root
        self._include_root = include_root
        self._processes: dict[int, Process] = {}
        self._threads: dict[tuple[int, int], ThreadSample] = {}
        self._carried = _Carried()
        self._knows_waiting = True
        self._lock = threading.Lock()
        if read_process(root) is None:
            raise InfrastructureError(f"there is no process {root} to account for")

    def sample(self) -> TreeSample:
        """Read the whole tree. Takes well under a millisecond per process."""
        with self._lock:
            return self._sample()

    @contextmanager
    def watch(self, interval_s: float = 0.5) -> Iterator[None]:
        """Sample every `interval_s` meanwhile, so that little of what ends goes unseen."""
        stop = threading.Event()

        def keep_looking() -> None:
            while not stop.wait(interval_s):
                self.sample()

        thread = threading.Thread(target=keep_looking, name="tree account", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _sample(self) -> TreeSample:
        at_ns = time.monotonic_ns()
        processes = {pid: p for pid in descendants(self._root) if (p := read_process(pid))}
        threads = {(t.pid, t.tid): t for pid in processes for t in self._read_threads(pid)}
        self._carry_threads(threads)
        self._carry_processes(processes)
        self._processes, self._threads = processes, threads
        own = [p for pid, p in processes.items() if pid != self._root or self._include_root]
        seen = [t for t in threads.values() if t.pid != self._root or self._include_root]
        gone = self._carried
        all_of = processes.values()
        awaited = sum(p.children_ticks for p in all_of)
        parents = sum(1 for p in all_of if p.children_ticks)
        return TreeSample(
            at_ns=at_ns,
            cpu_ns=sum(p.cpu_ns for p in own) + awaited * TICK_NS + gone.cpu_ns,
            cpu_error_ns=parents * 2 * TICK_NS,
            wait_ns=self._if_known(sum(t.wait_ns for t in seen) + gone.wait_ns),
            timeslices=self._if_known(sum(t.timeslices for t in seen) + gone.timeslices),
            voluntary=sum(t.voluntary for t in seen) + gone.voluntary,
            involuntary=sum(t.involuntary for t in seen) + gone.involuntary,
            minor_faults=sum(p.minor_faults for p in all_of) + gone.minor_faults,
            major_faults=sum(p.major_faults for p in all_of) + gone.major_faults,
            user_ns=(sum(p.user_ticks for p in all_of) + gone.user_ticks) * TICK_NS,
            kernel_ns=(sum(p.kernel_ticks for p in all_of) + gone.kernel_ticks) * TICK_NS,
            processes=len(own),
            threads=tuple(seen),
            ended_processes=gone.processes,
            ended_threads=gone.threads,
        )

    def _if_known(self, value: int) -> int | None:
        return value if self._knows_waiting else None

    def _carry_threads(self, now: dict[tuple[int, int], ThreadSample]) -> None:
        for key, last in self._threads.items():
            current = now.get(key)
            # A thread id that runs backwards has been given to another thread.
            if current is not None and current.run_ns >= last.run_ns:
                continue
            self._carried.threads += 1
            if last.pid == self._root and not self._include_root:
                continue
            self._carried.wait_ns += last.wait_ns
            self._carried.timeslices += last.timeslices
            self._carried.voluntary += last.voluntary
            self._carried.involuntary += last.involuntary

    def _carry_processes(self, now: dict[int, Process]) -> None:
        """Keep what was last seen of processes that ended without anyone's waiting for them.

        A parent that waits takes over all of a child's account. One that ignores its children's
        ends, or that has ended too, does not.
        """
        for pid, last in self._processes.items():
            current = now.get(pid)
            if current is not None and current.started == last.started:
                continue
            self._carried.processes += 1
            parent_before, parent_now = self._processes.get(last.parent), now.get(last.parent)
            total = last.cpu_ns + last.children_ticks * TICK_NS
            if parent_before and parent_now and parent_now.started == parent_before.started:
                taken = (parent_now.children_ticks - parent_before.children_ticks) * TICK_NS
                if taken + 2 * TICK_NS >= total:
                    continue
            self._carried.cpu_ns += total
            self._carried.minor_faults += last.minor_faults
            self._carried.major_faults += last.major_faults
            self._carried.user_ticks += last.user_ticks
            self._carried.kernel_ticks += last.kernel_ticks

    def _read_threads(self, pid: int) -> Iterator[ThreadSample]:
        with suppress(OSError):
            for tid in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  (hot path)
                if thread := self._read_thread(pid, tid):
                    yield thread

    def _read_thread(self, pid: int, tid: str) -> ThreadSample | None:
        directory = f"/proc/{pid}/task/{tid}"
        try:
            run_ns, wait_ns, timeslices = map(int, read_text(f"{directory}/schedstat").split())
        except FileNotFoundError:
            if Path(directory).exists():
                self._knows_waiting = False
            run_ns = wait_ns = timeslices = 0
        except OSError:
            return None
        if timeslices == 0 and run_ns > 0:
            self._knows_waiting = False
        try:
            fields = dict(
                line.split(":\t", 1)
                for line in read_text(f"{directory}/status").splitlines()
                if line.startswith(("Name:", "voluntary", "nonvoluntary"))
            )
        except OSError:
            return None
        return ThreadSample(
            pid=pid,
            tid=int(tid),
            name=fields["Name"],
            run_ns=run_ns,
            wait_ns=wait_ns,
            timeslices=timeslices,
            voluntary=int(fields["voluntary_ctxt_switches"]),
            involuntary=int(fields["nonvoluntary_ctxt_switches"]),
        )
