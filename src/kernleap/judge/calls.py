"""System calls, waiting and softirqs per token, from exact sums by tracepoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kernleap.model.cpu_samples import TracedUse
from kernleap.model.serving import ServingWindow


@dataclass(frozen=True, slots=True)
class CallRow:
    """One system call of the server, per token: times called, CPU time in it in us."""

    name: str
    calls: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Traced:
    """All windows together.

    Attributes:
        calls: by falling CPU time; what the probe itself adds to each call is in it.
        cpu_us: of all calls, per token.
        untimed: calls that are counted and have no time, because an event was lost.
        waits, wait_us: times that a thread of the server waited for a CPU, and how long in all,
            per token.
        wait_p50_us, wait_p99_us: of one wait: the upper end of the histogram's bucket (a power of
            two); None without waits.
        softirq_us: of the whole machine by vector, per token.
    """

    calls: tuple[CallRow, ...]
    cpu_us: float
    untimed: int
    waits: float
    wait_us: float
    wait_p50_us: float | None
    wait_p99_us: float | None
    softirq_us: dict[str, float]


def traced_of(traced: Sequence[TracedUse], windows: Sequence[ServingWindow]) -> Traced | None:
    """Per token. The counts cover a little more time than the windows; tokens are scaled to that.

    Returns:
        None without any counts.
    """
    tokens = 0.0
    counts, times, softirqs = Counter[str](), Counter[str](), Counter[str]()
    histogram = Counter[int]()
    for use, window in zip(traced, windows, strict=True):
        tokens += window.tokens * (use.ended_ns - use.began_ns) / window.elapsed_ns
        for call in use.calls:
            counts[call.name] += call.calls
            times[call.name] += call.cpu_ns
        softirqs.update(use.softirq_ns)
        histogram.update(use.wait_histogram)
    if not tokens:
        return None
    return Traced(
        calls=tuple(
            CallRow(name, counts[name] / tokens, ns / 1e3 / tokens)
            for name, ns in sorted(times.items(), key=lambda item: (-item[1], item[0]))
        ),
        cpu_us=times.total() / 1e3 / tokens,
        untimed=sum(use.untimed for use in traced),
        waits=sum(use.waits for use in traced) / tokens,
        wait_us=sum(use.wait_ns for use in traced) / 1e3 / tokens,
        wait_p50_us=_quantile(histogram, 0.5),
        wait_p99_us=_quantile(histogram, 0.99),
        softirq_us={name: ns / 1e3 / tokens for name, ns in softirqs.most_common()},
    )


def _quantile(histogram: Counter[int], q: float) -> float | None:
    below = 0
    for least in sorted(histogram):
        below += histogram[least]
        if below >= q * histogram.total():
            return 2 * max(least, 1) / 1e3
    return None
