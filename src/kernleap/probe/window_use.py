"""What a server used between two edges of a window, and the tokens that came meanwhile.

The driver's record of every token event tells the tokens. Kernel and user time of a thread: its CPU
time (exact, schedstat) times the ratio of `stime` to `utime + stime` in /proc/PID/task/TID/stat,
which most kernels sample by their tick. A thread with too few ticks in a window takes the ratio of
the whole tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernleap.model.errors import InfrastructureError
from kernleap.model.serving import Accounting, ServingWindow, ThreadUse
from kernleap.probe.accounting import MachineSample, net_softirqs, sample_machine
from kernleap.probe.energy import EnergyMeters
from kernleap.probe.wakeups import WakeupCounter
from kernleap.workload.serving.engines import Serving
from kernleap.workload.serving.proc import read_text
from kernleap.workload.serving.process_tree import TreeAccount, TreeSample, difference
from kernleap.workload.serving.records import ABSENT, Flag, read_events, read_requests
from kernleap.workload.serving.result import LoadResult
from kernleap.workload.serving.timed import MachineCosts

_TICKS_ENOUGH = 5
_Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edge:
    """All accounts at one moment; `ticks` are user and kernel ticks by process and thread."""

    tree: TreeSample
    machine: MachineSample
    ticks: dict[_Key, tuple[int, int]]
    net_softirqs: int | None
    wakeups: int | None
    energy: dict[str, int]


@dataclass(slots=True)
class EdgeReader:
    """What is read at each edge."""

    account: TreeAccount
    wakeups: WakeupCounter
    meters: EnergyMeters

    def edge(self) -> Edge:
        """Read it all now."""
        tree, machine = self.account.sample(), sample_machine()
        ticks = {
            (t.pid, t.tid): found for t in tree.threads if (found := _thread_ticks(t.pid, t.tid))
        }
        return Edge(tree, machine, ticks, net_softirqs(), self.wakeups.read(), self.meters.sample())

    def costs(self, before: Edge, after: Edge) -> MachineCosts:
        """What the machine spent between two edges."""

        def more(first: int | None, last: int | None) -> int | None:
            return None if first is None or last is None else last - first

        elapsed_s = (after.tree.at_ns - before.tree.at_ns) / 1e9
        return MachineCosts(
            wakeups=more(before.wakeups, after.wakeups),
            net_softirqs=more(before.net_softirqs, after.net_softirqs),
            joules=self.meters.between(before.energy, after.energy, elapsed_s),
        )

    def missing(self) -> tuple[str, ...]:
        """What cannot be read here, and why."""
        problem = self.wakeups.problem
        return ((f"wakeups: {problem}",) if problem else ()) + tuple(
            f"energy: {text}" for text in self.meters.missing
        )


def _thread_ticks(pid: int, tid: int) -> tuple[int, int] | None:
    try:
        fields = read_text(f"/proc/{pid}/task/{tid}/stat").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]), int(fields[12])


def windows_of(
    serving: Serving, result: LoadResult, pairs: Sequence[tuple[Edge, Edge]], how: Accounting
) -> tuple[ServingWindow, ...]:
    """One window for each pair of edges.

    Raises:
        InfrastructureError: a window has no token, or the records cannot be read.
    """
    spans = [(before.tree.at_ns, after.tree.at_ns) for before, after in pairs]
    counts = _tokens(result, spans)
    if not all(counts):
        ways = ", ".join(f"{number} {kind}" for kind, number in result.measured.items())
        raise InfrastructureError(
            "no token came in a whole window",
            where=str(serving.address),
            cause=f"requests ended as: {ways or 'none ended'}",
            next_step="give windows more time (--window-s), or fewer streams",
        )
    return tuple(
        _window(before, after, tokens, asked, how)
        for (before, after), tokens, asked in zip(pairs, counts, _asked(result, spans), strict=True)
    )


def in_flight(result: LoadResult) -> int:
    """Requests in flight on average over the measured load (Little's law), at least 1."""
    assert result.requests_file is not None
    rows = read_requests(result.requests_file).rows
    measured = rows[(rows["flags"] & Flag.WARMUP) == 0]
    opened, closed = result.window
    taken = (measured["end"] - measured["started"]).sum(dtype=np.uint64)
    return max(1, round(float(taken) / max(1, closed - opened)))


def _asked(result: LoadResult, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Nanoseconds of each span in which at least one request was in flight."""
    assert result.requests_file is not None
    rows = read_requests(result.requests_file).rows
    rows = rows[np.argsort(rows["started"])]
    # The union of intervals: each begins where all before it have ended, or at its own start.
    begin, end = rows["started"].astype(np.int64), rows["end"].astype(np.int64)
    reach = np.maximum.accumulate(end)
    begin[1:] = np.maximum(begin[1:], reach[:-1])
    end = np.maximum(begin, end)
    return [
        int(np.maximum(0, np.minimum(end, last) - np.maximum(begin, first)).sum())
        for first, last in spans
    ]


def _tokens(result: LoadResult, spans: Sequence[tuple[int, int]]) -> list[float]:
    """Tokens in each span: events, times the tokens an event has on average.

    The average is by the usage that the server reports of complete answers; 1 without that.
    """
    assert result.events_file is not None
    assert result.requests_file is not None
    at = read_events(result.events_file).rows["at"]
    rows = read_requests(result.requests_file).rows
    said = rows[(rows["kind"] == 0) & (rows["usage_completion"] != ABSENT) & (rows["events"] > 0)]
    per_event = 1.0
    if said.size:
        per_event = float(said["usage_completion"].sum(dtype=np.int64)) / float(
            said["events"].sum(dtype=np.int64)
        )
    places = np.searchsorted(at, np.asarray(spans, dtype=np.uint64))
    return [float(count) * per_event for count in places[:, 1] - places[:, 0]]


def _window(
    before: Edge, after: Edge, tokens: float, asked_ns: int, how: Accounting
) -> ServingWindow:
    use = difference(before.tree, after.tree)
    sampled = use.user_ns + use.kernel_ns
    ratio = use.kernel_ns / sampled if sampled else 0.0
    return ServingWindow(
        began_ns=before.tree.at_ns,
        elapsed_ns=use.elapsed_ns,
        asked_ns=asked_ns,
        tokens=tokens,
        cpu_ns=use.cpu_ns,
        kernel_ns=round(use.cpu_ns * ratio),
        ticks=use.cpu_ns / 1e9 * how.hz,
        wait_ns=use.wait_ns,
        voluntary=use.voluntary,
        involuntary=use.involuntary,
        softirq_ns=after.machine.softirq_ns - before.machine.softirq_ns,
        interrupt_ns=after.machine.interrupt_ns - before.machine.interrupt_ns,
        busy_ns=after.machine.busy_ns - before.machine.busy_ns,
        steal_ns=after.machine.steal_ns - before.machine.steal_ns,
        ended_threads=use.ended_threads,
        threads=_threads(before, after, ratio),
    )


def _threads(before: Edge, after: Edge, tree_ratio: float) -> tuple[ThreadUse, ...]:
    earlier = {(t.pid, t.tid): t for t in before.tree.threads}
    found = []
    for thread in after.tree.threads:
        key = (thread.pid, thread.tid)
        old = earlier.get(key)
        run = thread.run_ns - (old.run_ns if old else 0)
        wait = thread.wait_ns - (old.wait_ns if old else 0)
        if run <= 0 and wait <= 0:
            continue
        user0, kernel0 = before.ticks.get(key, (0, 0))
        user1, kernel1 = after.ticks.get(key, (user0, kernel0))
        ticks = (user1 - user0) + (kernel1 - kernel0)
        ratio = (kernel1 - kernel0) / ticks if ticks >= _TICKS_ENOUGH else tree_ratio
        found.append(ThreadUse(thread.pid, thread.tid, thread.name, run, round(run * ratio), wait))
    return tuple(found)
