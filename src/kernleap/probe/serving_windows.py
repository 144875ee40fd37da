"""A server of this machine under load, sampled at the edges of windows.

One load runs throughout; the account of the server's process tree and of the machine is read at
each edge, and the driver's record of every token event tells the tokens in between. Kernel and
user time of a thread: its CPU time (exact, schedstat) times the ratio of `stime` to
`utime + stime` in /proc/PID/task/TID/stat, which most kernels sample by their tick. A thread with
too few ticks in a window takes the ratio of the whole tree.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kernleap.machine.base import Interrupted
from kernleap.model.errors import InfrastructureError
from kernleap.model.serving import Accounting, ServingProfile, ServingWindow, ThreadUse
from kernleap.probe.accounting import MachineSample, accounting, net_softirqs, sample_machine
from kernleap.probe.energy import EnergyMeters, energy_meters
from kernleap.probe.wakeups import WakeupCounter
from kernleap.workload.serving import driver
from kernleap.workload.serving.engines import Serving
from kernleap.workload.serving.load import LoadSpec
from kernleap.workload.serving.proc import read_text
from kernleap.workload.serving.process_tree import TreeAccount, TreeSample, difference
from kernleap.workload.serving.records import ABSENT, read_events, read_requests
from kernleap.workload.serving.result import LoadResult
from kernleap.workload.serving.timed import MachineCosts

IDLE_S = 1.0
"""How long the server is watched with nothing asked of it."""
_SETTLE_S = 0.2
_TICKS_ENOUGH = 5
_WELL = ("ok", "unfinished")
"""How requests may end: the load is cut off while some are in flight."""
_Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Edge:
    tree: TreeSample
    machine: MachineSample
    ticks: dict[_Key, tuple[int, int]]
    """User and kernel ticks by process and thread."""
    net_softirqs: int | None
    wakeups: int | None
    energy: dict[str, int]


@dataclass(frozen=True, slots=True)
class Observation:
    """A server under one load: its profile, what its client saw, what it cost the machine.

    `machine` has an item for each window; `missing` says what cannot be measured here, and why.
    """

    profile: ServingProfile
    result: LoadResult
    machine: tuple[MachineCosts, ...]
    missing: tuple[str, ...]


@dataclass(slots=True)
class _Probes:
    """What is read at each edge."""

    account: TreeAccount
    wakeups: WakeupCounter
    meters: EnergyMeters

    def edge(self) -> _Edge:
        tree, machine = self.account.sample(), sample_machine()
        ticks = {
            (t.pid, t.tid): found for t in tree.threads if (found := _thread_ticks(t.pid, t.tid))
        }
        return _Edge(
            tree, machine, ticks, net_softirqs(), self.wakeups.read(), self.meters.sample()
        )

    def missing(self) -> tuple[str, ...]:
        problem = self.wakeups.problem
        return ((f"wakeups: {problem}",) if problem else ()) + tuple(
            f"energy: {text}" for text in self.meters.missing
        )


def measure_windows(
    serving: Serving,
    load: LoadSpec,
    workdir: Path,
    *,
    streams: int,
    windows: int,
    window_s: float,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ServingProfile:
    """The profile that `observe` gives, after watching the server idle. Raises as it does."""
    return observe(
        serving, load, workdir, streams=streams, windows=windows, window_s=window_s,
        idle_s=IDLE_S, stop=stop, progress=progress,
    ).profile  # fmt: skip


def observe(
    serving: Serving,
    load: LoadSpec,
    workdir: Path,
    *,
    streams: int,
    windows: int,
    window_s: float,
    idle_s: float,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Observation:
    """Watch the server idle, then under `load` for `windows` times `window_s`.

    Args:
        serving: an engine that answers, with processes that can be seen from here.
        load: what is asked of it; its duration is set here, its warm-up is kept.
        workdir: takes the driver's records.
        streams: requests in flight, for the record.
        idle_s: how long it is watched with nothing asked of it.
        stop: ends the load when set.
        progress: called with the number of windows that have ended.

    Raises:
        Interrupted: `stop` was set.
        InfrastructureError: the engine ended or cannot be seen, or no token came in a window.
    """
    stop = stop or threading.Event()
    account = serving.account()
    idle_ratio = _idle(account, idle_s, stop)
    how = accounting()
    spec, target = driver.load_of(
        replace(load, duration_s=windows * window_s + 2 * _SETTLE_S, requests=0, drain_s=5.0),
        serving,
    )
    threads = [thread.tid for thread in account.sample().threads]
    probes = _Probes(account, WakeupCounter.of(threads), energy_meters())
    edges: list[_Edge] = []
    # Set on any error here too, so that the driver does not go on for nobody.
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool, closing(probes.wakeups):
        running = pool.submit(driver.run, spec, target, workdir, keep_events=True, stop=ended)
        try:
            start = time.monotonic() + load.warmup_s + _SETTLE_S
            for index in range(windows + 1):
                _sleep_until(start + index * window_s, stop, running, serving)
                edges.append(probes.edge())
                serving.check_alive()
                progress(index)
            result = running.result()
        finally:
            ended.set()
    found = _windows(serving, result, edges, how)
    profile = ServingProfile(
        engine=serving.facts.engine,
        streams=streams,
        cpus=len(os.sched_getaffinity(0)),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        accounting=how,
        idle_cpu_ratio=idle_ratio,
        driver_cpu_ratio=result.cpu_ratio or 0.0,
        driver_warnings=result.warnings(),
        failed_requests=sum(n for kind, n in result.measured.items() if kind not in _WELL),
        requests=sum(result.measured.values()),
        windows=found,
    )
    costs = tuple(
        _costs(before, after, probes.meters) for before, after in itertools.pairwise(edges)
    )
    return Observation(profile, result, costs, probes.missing())


def _costs(before: _Edge, after: _Edge, meters: EnergyMeters) -> MachineCosts:
    def more(first: int | None, last: int | None) -> int | None:
        return None if first is None or last is None else last - first

    elapsed_s = (after.tree.at_ns - before.tree.at_ns) / 1e9
    return MachineCosts(
        wakeups=more(before.wakeups, after.wakeups),
        net_softirqs=more(before.net_softirqs, after.net_softirqs),
        joules=meters.between(before.energy, after.energy, elapsed_s),
    )


def _idle(account: TreeAccount, seconds: float, stop: threading.Event) -> float:
    before = account.sample()
    if stop.wait(seconds):
        raise Interrupted
    use = difference(before, account.sample())
    return use.cpu_ns / use.elapsed_ns


def _sleep_until(
    moment: float, stop: threading.Event, running: Future[LoadResult], serving: Serving
) -> None:
    while (left := moment - time.monotonic()) > 0:
        if stop.wait(min(left, 0.1)):
            raise Interrupted
        serving.check_alive()
        if running.done():
            running.result()
            raise InfrastructureError(
                "the load ended before its windows did",
                cause="the server refused every request, or ended",
                next_step="try the engine by hand with one request",
            )


def _thread_ticks(pid: int, tid: int) -> tuple[int, int] | None:
    try:
        fields = read_text(f"/proc/{pid}/task/{tid}/stat").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]), int(fields[12])


def _windows(
    serving: Serving, result: LoadResult, edges: list[_Edge], how: Accounting
) -> tuple[ServingWindow, ...]:
    counts = _tokens(result, [edge.tree.at_ns for edge in edges])
    if not all(counts):
        ways = ", ".join(f"{number} {kind}" for kind, number in result.measured.items())
        raise InfrastructureError(
            "no token came in a whole window",
            where=str(serving.address),
            cause=f"requests ended as: {ways or 'none ended'}",
            next_step="give windows more time (--window-s), or fewer streams",
        )
    return tuple(
        _window(before, after, tokens, how)
        for before, after, tokens in zip(edges, edges[1:], counts, strict=False)
    )


def _tokens(result: LoadResult, edges: list[int]) -> list[float]:
    """Tokens between consecutive edges: events, times the tokens an event has on average.

    The average is by the usage that the server reports of complete answers; 1 without that.
    """
    assert result.events_file is not None and result.requests_file is not None
    at = read_events(result.events_file).rows["at"]
    rows = read_requests(result.requests_file).rows
    said = rows[(rows["kind"] == 0) & (rows["usage_completion"] != ABSENT) & (rows["events"] > 0)]
    per_event = 1.0
    if said.size:
        per_event = float(said["usage_completion"].sum(dtype=np.int64)) / float(
            said["events"].sum(dtype=np.int64)
        )
    places = np.searchsorted(at, np.asarray(edges, dtype=np.uint64))
    return [float(count) * per_event for count in np.diff(places)]


def _window(before: _Edge, after: _Edge, tokens: float, how: Accounting) -> ServingWindow:
    use = difference(before.tree, after.tree)
    sampled = use.user_ns + use.kernel_ns
    ratio = use.kernel_ns / sampled if sampled else 0.0
    return ServingWindow(
        elapsed_ns=use.elapsed_ns,
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


def _threads(before: _Edge, after: _Edge, tree_ratio: float) -> tuple[ThreadUse, ...]:
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
