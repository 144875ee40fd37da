"""A server of this machine under load, sampled at the edges of windows.

One load runs throughout; the account of the server's process tree and of the machine is read at
each edge. What the edges amount to is computed in `window_use`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from kernleap.machine.base import Interrupted
from kernleap.model.errors import InfrastructureError
from kernleap.model.serving import Accounting, ProbedWindows, ServingProfile, ServingWindow
from kernleap.probe.accounting import accounting
from kernleap.probe.energy import energy_meters
from kernleap.probe.wakeups import WakeupCounter
from kernleap.probe.window_probes import WindowProbe
from kernleap.probe.window_use import Edge, EdgeReader, in_flight, windows_of
from kernleap.workload.serving import driver
from kernleap.workload.serving.client import client_values
from kernleap.workload.serving.engines import Serving
from kernleap.workload.serving.load import Closed, LoadSpec
from kernleap.workload.serving.process_tree import TreeAccount, difference
from kernleap.workload.serving.result import LoadResult
from kernleap.workload.serving.timed import MachineCosts

IDLE_S = 1.0
"""How long the server is watched with nothing asked of it."""
_SETTLE_S = 0.2
_PROBE_MOST_S = 40.0
_DRAIN_S = 5.0
_WELL = ("ok", "unfinished")
"""How requests may end: the load is cut off while some are in flight."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A server under one load: its profile, what its client saw, what it cost the machine.

    `machine` has an item for each plain window; `missing` says what cannot be measured here, and
    why.
    """

    profile: ServingProfile
    result: LoadResult
    machine: tuple[MachineCosts, ...]
    missing: tuple[str, ...]


def measure_windows(
    serving: Serving,
    load: LoadSpec,
    workdir: Path,
    *,
    windows: int,
    window_s: float,
    probes: Sequence[WindowProbe] = (),
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> ServingProfile:
    """The profile that `observe` gives, after watching the server idle. Raises as it does."""
    return observe(
        serving, load, workdir, windows=windows, window_s=window_s, idle_s=IDLE_S, probes=probes,
        stop=stop, progress=progress,
    ).profile  # fmt: skip


def observe(
    serving: Serving,
    load: LoadSpec,
    workdir: Path,
    *,
    windows: int,
    window_s: float,
    idle_s: float,
    probes: Sequence[WindowProbe] = (),
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Observation:
    """Watch the server idle, then under `load` for `windows` rounds.

    A round is a plain window of `window_s`, and one more for each probe, with that probe on. Which
    comes first goes round, so that a drift of the machine is not taken for a probe's price.

    Without probes the load ends by itself and is followed to its end. With them, how long they
    take to get ready cannot be told in advance: the load is ended with the last window, and what
    is in flight then is unfinished.

    Args:
        serving: an engine that answers, with processes that can be seen from here.
        load: what is asked of it; its duration is set here, its warm-up is kept.
        workdir: takes the driver's records.
        idle_s: how long it is watched with nothing asked of it.
        probes: all off; they are off again at the end, if nothing fails.
        stop: ends the load when set.
        progress: called with the number of rounds that have ended.

    Raises:
        Interrupted: `stop` was set.
        InfrastructureError: the engine ended or cannot be seen, a probe failed, or no token came
            in a window.
    """
    stop = stop or threading.Event()
    account = serving.account()
    idle_ratio = _idle(account, idle_s, stop)
    how = accounting()
    longest = windows * window_s + 2 * _SETTLE_S
    longest += windows * len(probes) * (window_s + _PROBE_MOST_S)
    spec, target = driver.load_of(
        replace(load, duration_s=longest, requests=0, drain_s=_DRAIN_S), serving
    )
    threads = [thread.tid for thread in account.sample().threads]
    reader = EdgeReader(account, WakeupCounter.of(threads), energy_meters())
    pairs: list[tuple[Edge, Edge]] = []
    clients: list[int] = []
    # Set on any error here too, so that the driver does not go on for nobody.
    ended, finish = threading.Event(), threading.Event()
    order: list[WindowProbe | None] = [None, *probes]
    with ThreadPoolExecutor(1) as pool, closing(reader.wakeups):
        running = pool.submit(
            driver.run, spec, target, workdir, keep_events=True, stop=ended, finish=finish,
            started=clients.append,
        )  # fmt: skip
        try:
            watch = _Watch(serving, stop, running)
            watch.sleep_until(time.monotonic() + load.warmup_s + _SETTLE_S)
            for index in range(windows):
                turn = index % len(order)
                found = {}
                for probe in order[turn:] + order[:turn]:
                    found[probe] = _measure(probe, reader, window_s, watch)
                pairs += [found[probe] for probe in order]
                progress(index + 1)
            if probes:
                finish.set()
            result = running.result()
        finally:
            ended.set()
    profile = _profile(
        load,
        result,
        windows_of(serving, result, pairs, how),
        [probe.name for probe in probes],
        _Host(serving.facts.engine, how, idle_ratio, clients[0] if clients else None),
    )
    costs = tuple(reader.costs(*pair) for pair in pairs[:: len(order)])
    return Observation(profile, result, costs, reader.missing())


@dataclass(frozen=True, slots=True)
class _Watch:
    """What must go on while windows are measured."""

    serving: Serving
    stop: threading.Event
    running: Future[LoadResult]

    def sleep_until(self, moment: float) -> None:
        """Until CLOCK_MONOTONIC is `moment`, in seconds."""
        while (left := moment - time.monotonic()) > 0:
            if self.stop.wait(min(left, 0.1)):
                raise Interrupted
            self.serving.check_alive()
            if self.running.done():
                self.running.result()
                raise InfrastructureError(
                    "the load ended before its windows did",
                    cause="the server refused every request, or ended",
                    next_step="try the engine by hand with one request",
                )


def _measure(
    probe: WindowProbe | None, reader: EdgeReader, window_s: float, watch: _Watch
) -> tuple[Edge, Edge]:
    if probe is not None:
        probe.on(sorted({thread.pid for thread in reader.account.sample().threads}))
        watch.sleep_until(time.monotonic() + _SETTLE_S)
    before = reader.edge()
    watch.sleep_until(before.tree.at_ns / 1e9 + window_s)
    after = reader.edge()
    if probe is not None:
        probe.off()
    watch.serving.check_alive()
    return before, after


@dataclass(frozen=True, slots=True)
class _Host:
    """What is known beside the load."""

    engine: str
    accounting: Accounting
    idle_cpu_ratio: float
    client_pid: int | None


def _profile(
    load: LoadSpec,
    result: LoadResult,
    found: tuple[ServingWindow, ...],
    probes: list[str],
    host: _Host,
) -> ServingProfile:
    step = 1 + len(probes)
    closed = load.arrivals if isinstance(load.arrivals, Closed) else None
    return ServingProfile(
        engine=host.engine,
        streams=closed.concurrency if closed else in_flight(result),
        open_loop=closed is None,
        cpus=len(os.sched_getaffinity(0)),
        nice=os.getpriority(os.PRIO_PROCESS, 0),
        accounting=host.accounting,
        idle_cpu_ratio=host.idle_cpu_ratio,
        driver_cpu_ratio=result.cpu_ratio or 0.0,
        driver_warnings=result.warnings(),
        failed_requests=sum(n for kind, n in result.measured.items() if kind not in _WELL),
        requests=sum(result.measured.values()),
        client=client_values(result),
        client_pid=host.client_pid,
        windows=found[::step],
        probed=tuple(
            ProbedWindows(name, found[place::step]) for place, name in enumerate(probes, start=1)
        ),
    )


def _idle(account: TreeAccount, seconds: float, stop: threading.Event) -> float:
    before = account.sample()
    if stop.wait(seconds):
        raise Interrupted
    use = difference(before, account.sample())
    # On a busy machine a thread that spins mostly waits for its turn.
    return (use.cpu_ns + (use.wait_ns or 0)) / use.elapsed_ns
