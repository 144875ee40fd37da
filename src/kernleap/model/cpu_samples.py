"""Where CPUs were found on a real machine: samples of stacks, and exact sums by tracepoints.

Measured by `probe.perf` and `probe.bpf`, interpreted by `judge.breakdown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StackSample:
    """One sample of one CPU.

    Attributes:
        at_ns: CLOCK_MONOTONIC.
        pid, tid: what ran; 0 is the idle task.
        period: how much of the event it stands for (ns of `cpu-clock`, cycles of `cycles`).
        frames: kernel functions, the innermost first; empty: it ran in user space.
    """

    at_ns: int
    pid: int
    tid: int
    period: int
    frames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StackSamples:
    """All samples of a recording.

    Attributes:
        event: what the period counts: `cpu-clock` (ns) or `cycles`.
        frequency_hz: samples a second and CPU that were asked for.
        whole_machine: whether every process was sampled; else those that were named.
        lost: samples that the kernel could not deliver.
        unread: lines of perf's text that are of no known form; none of them is a sample.
    """

    event: str
    frequency_hz: int
    whole_machine: bool
    samples: tuple[StackSample, ...]
    lost: int
    unread: int


@dataclass(frozen=True, slots=True)
class CallUse:
    """One system call: how often, and CPU time in it (sleeping taken off), of some processes."""

    name: str
    calls: int
    cpu_ns: int


@dataclass(frozen=True, slots=True)
class TracedUse:
    """Exact sums over a stretch of time, by tracepoints.

    Attributes:
        began_ns, ended_ns: CLOCK_MONOTONIC.
        calls: of the watched processes, by falling CPU time. Interrupts that hit a call are in it.
        untimed: calls whose time is in no sum, because an event within them was not seen.
        waits: times that a watched thread was ready and then got a CPU.
        wait_ns: their sum; `wait_histogram` has their number by the least nanoseconds of a bucket.
        softirq_ns: time in softirq handlers by vector, of the whole machine.
    """

    began_ns: int
    ended_ns: int
    calls: tuple[CallUse, ...]
    untimed: int
    waits: int
    wait_ns: int
    wait_histogram: Mapping[int, int]
    softirq_ns: Mapping[str, int]
