"""Where a token's kernel time goes on a real machine: by context, by subsystem, by lever.

Each sample of the kernel is one stack. It has one *context*, the innermost that its frames show: a
softirq, an interrupt, a page fault, a system call. It has one *subsystem*, that of its innermost
function (subsystems.toml, as for counted profiles), and one *lever* (levers.toml).

For one window and a category c of a group of processes:

    share(c) = sum of periods in c / sum of periods of the group's kernel samples
    us per token(c) = sum of periods in c * scale / tokens
    scale = CPU time of the server / sum of periods of its samples, kernel and user

so that a hardware counter that counts cycles gives times as well. Means have a t interval over the
windows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kernleap.judge.explain import group
from kernleap.judge.kernel_context import context_of
from kernleap.judge.levers import lever_of
from kernleap.model.cpu_samples import StackSample, StackSamples
from kernleap.model.serving import ServingWindow
from kernleap.stats.mean import Mean, mean_of

SPINNING_SHARE = 0.1
"""Of kernel time in sched_yield, from which on a server is said to spin."""
_CLONE = re.compile(r"\.[\w.]+$")


@dataclass(frozen=True, slots=True)
class Part:
    """A category: its share of the kernel time of its group, and its time per token."""

    name: str
    share: Mean
    us_per_token: Mean


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel time of a group of processes; each list adds up to all of it, largest first."""

    samples: int
    us_per_token: Mean
    contexts: tuple[Part, ...]
    subsystems: tuple[Part, ...]
    levers: tuple[Part, ...]
    functions: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the kernel time goes.

    Attributes:
        event, lost: of the recording.
        kernel_ratio: kernel / all samples of the server, an account apart from that by ticks.
        server, client: of the server's processes, and of the load driver; None without samples.
        elsewhere: softirqs that hit neither, whoever they work for; None where only some processes
            were sampled, or none was.
    """

    event: str
    lost: int
    kernel_ratio: Mean
    server: Kernel | None
    client: Kernel | None
    elsewhere: Kernel | None


def breakdown_of(
    samples: StackSamples,
    windows: Sequence[ServingWindow],
    client: int | None,
    confidence: float = 0.95,
) -> Breakdown | None:
    """What the samples of these windows say; None if fewer than two of them show the server.

    Args:
        samples: of a recording that covers the windows.
        windows: in which it was on; a server's processes are those with threads in one of them.
        client: process of the load driver, if it is known.
    """
    server = {thread.pid for window in windows for thread in window.threads}
    sliced = _by_window(samples.samples, windows)
    rows = [
        (window, inside, sum(s.period for s in inside if s.pid in server))
        for window, inside in zip(windows, sliced, strict=True)
    ]
    rows = [row for row in rows if row[2]]
    if len(rows) < 2:
        return None

    def kernel(belongs: Callable[[StackSample], bool]) -> Kernel | None:
        found = [
            (
                [s for s in inside if s.frames and belongs(s)],
                window.cpu_ns / total / 1e3 / window.tokens,
            )
            for window, inside, total in rows
        ]
        return _kernel(found, confidence)

    def is_elsewhere(sample: StackSample) -> bool:
        if sample.pid in server or sample.pid == client:
            return False
        return context_of(sample.frames).startswith("softirq")

    ratios = [
        sum(s.period for s in inside if s.frames and s.pid in server) / total
        for _, inside, total in rows
    ]
    return Breakdown(
        event=samples.event,
        lost=samples.lost,
        kernel_ratio=mean_of(ratios, confidence),
        server=kernel(lambda s: s.pid in server),
        client=kernel(lambda s: s.pid == client) if client is not None else None,
        elsewhere=kernel(is_elsewhere) if samples.whole_machine else None,
    )


def share_of_token(part: Part, work: Mean) -> tuple[float, float]:
    """What a category is of a token's time, at most: its share times the kernel's own work.

    Both are means of their own windows; the relative half widths are added in quadrature.

    Returns:
        The value and the upper end of its interval, at most 1.
    """
    value = part.share.value * work.value
    if value <= 0:
        return 0.0, 0.0
    relative = math.hypot(
        (part.share.high - part.share.value) / part.share.value,
        (work.high - work.value) / work.value,
    )
    return min(1.0, value), min(1.0, value * (1 + relative))


def spinning_calls(breakdown: Breakdown | None, work: Mean) -> tuple[str, ...]:
    """A warning where sched_yield takes a good part of the server's kernel time.

    Args:
        work: the kernel's own work as a share of a token's time, which that part is taken off.
    """
    server = breakdown.server if breakdown else None
    for part in server.contexts if server else ():
        if part.name == "call sched_yield" and part.share.value > SPINNING_SHARE:
            return (
                f"{part.share.value:.0%} of the server's kernel time are calls of sched_yield: it "
                "spins; they are not the kernel's price, and the bound is too high by them. "
                f"Without them the kernel's own work is {work.value * (1 - part.share.value):.1%} "
                "of a token's time in place of "
                f"{work.value:.1%}",
            )
    return ()


def _by_window(
    samples: Iterable[StackSample], windows: Sequence[ServingWindow]
) -> list[list[StackSample]]:
    found: list[list[StackSample]] = [[] for _ in windows]
    for sample in samples:
        for inside, window in zip(found, windows, strict=True):
            if window.began_ns <= sample.at_ns < window.began_ns + window.elapsed_ns:
                inside.append(sample)
    return found


def _kernel(windows: list[tuple[list[StackSample], float]], confidence: float) -> Kernel | None:
    """Args: per window, samples of the kernel, and us per token of one unit of their period."""
    if sum(1 for samples, _ in windows if samples) < 2:
        return None

    def parts(of: Callable[[StackSample], str]) -> tuple[Part, ...]:
        sums: list[Counter[str]] = []
        for samples, _ in windows:
            counter: Counter[str] = Counter()
            for sample in samples:
                counter[of(sample)] += sample.period
            sums.append(counter)
        names = {name for counter in sums for name in counter}
        found = [
            Part(
                name,
                mean_of([c[name] / c.total() for c in sums if c], confidence),
                mean_of([c[name] * w[1] for c, w in zip(sums, windows, strict=True)], confidence),
            )
            for name in names
        ]
        return tuple(sorted(found, key=lambda part: (-part.us_per_token.value, part.name)))

    return Kernel(
        samples=sum(len(samples) for samples, _ in windows),
        us_per_token=mean_of(
            [sum(s.period for s in samples) * scale for samples, scale in windows], confidence
        ),
        contexts=parts(lambda s: context_of(s.frames)),
        subsystems=parts(lambda s: group(s.frames[0])),
        levers=parts(lambda s: lever_of(s.frames)),
        functions=parts(lambda s: _CLONE.sub("", s.frames[0])),
    )
