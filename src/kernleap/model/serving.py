"""What was seen of a server under load on a real machine: windows, threads, accounts.

All times in nanoseconds. Measured by `probe.serving_windows`, interpreted by `judge.bound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accounting:
    """How this kernel tells user from kernel time.

    Attributes:
        exact: by time stamps at each entry and exit; else sampled by the timer tick.
        hz: ticks a second; the least that kernels have (100) where it is not known.
        interrupts_apart: interrupts and softirqs are not part of the interrupted thread's
            kernel time; None where that is not known.
    """

    exact: bool
    hz: int
    interrupts_apart: bool | None


@dataclass(frozen=True, slots=True)
class ThreadUse:
    """One thread of the server in one window.

    `kernel_ns` is its part of `run_ns`, by the sampled (or exact) ratio; `wait_ns` is the time
    it was ready to run and did not.
    """

    pid: int
    tid: int
    name: str
    run_ns: int
    kernel_ns: int
    wait_ns: int


@dataclass(frozen=True, slots=True)
class ServingWindow:
    """One measured window. The server's process tree unless it says *machine*.

    Attributes:
        began_ns: CLOCK_MONOTONIC.
        asked_ns: in which at least one request was in flight; elapsed_ns in a closed loop.
        tokens: received by the load driver in the window.
        cpu_ns, kernel_ns: CPU time, and what of it was spent in the kernel.
        ticks: how many samples tell kernel from user time (cpu_ns times hz).
        wait_ns: waiting for a CPU, all threads; None where the kernel does not say.
        voluntary, involuntary: context switches; each voluntary one is ended by one wakeup.
        softirq_ns, interrupt_ns, busy_ns, steal_ns: of the machine, all CPUs, by ticks.
        ended_threads: whose last moments are not in the waiting and the switches.
    """

    began_ns: int
    elapsed_ns: int
    asked_ns: int
    tokens: float
    cpu_ns: int
    kernel_ns: int
    ticks: float
    wait_ns: int | None
    voluntary: int
    involuntary: int
    softirq_ns: int
    interrupt_ns: int
    busy_ns: int
    steal_ns: int
    ended_threads: int
    threads: tuple[ThreadUse, ...]


@dataclass(frozen=True, slots=True)
class ProbedWindows:
    """Windows in which a probe was on, one in each round beside a plain one."""

    probe: str
    windows: tuple[ServingWindow, ...]


@dataclass(frozen=True, slots=True)
class ServingProfile:
    """A server under one load, window by window.

    Attributes:
        engine: its name, as in a reference.
        streams: requests in flight: as asked for in a closed loop, the mean in an open one.
        open_loop: requests came at times of their own.
        cpus: that this process may use.
        nice: of kernleap, and so of a server it started.
        idle_cpu_ratio: CPUs that the server used, or was ready to use, with nothing asked of it.
        driver_cpu_ratio: share of one CPU that the load driver used.
        driver_warnings: why the load may not have been what was asked for.
        failed_requests, requests: of the measured load.
        client: values of what the client saw, by name (docs/metrics.md), over all windows.
        client_pid: process of the load driver.
        windows: without any probe; `probed` are the others.
    """

    engine: str
    streams: int
    open_loop: bool
    cpus: int
    nice: int
    accounting: Accounting
    idle_cpu_ratio: float
    driver_cpu_ratio: float
    driver_warnings: tuple[str, ...]
    failed_requests: int
    requests: int
    client: Mapping[str, float]
    client_pid: int | None
    windows: tuple[ServingWindow, ...]
    probed: tuple[ProbedWindows, ...] = ()
