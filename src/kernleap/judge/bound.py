"""How much any kernel could give a serving workload: the bound, before anyone reboots.

For a window, of which W is the time with a request in flight (in a closed loop all of it), the time
that a faster kernel could take out of it:

    removable = system + waiting + softirq

- *system*, *waiting*: time in the kernel, and ready without a CPU, of the critical threads. A
  token passes through every process of the server: through its busiest thread (run + wait), and
  through one thread of each of its pools. A pool are the other threads of one name (numbers at
  its end aside), taken to serve the streams side by side; it counts as the greater of its busiest
  thread and its sum / min(streams, threads). These stages are added as if they ran one after
  another; where they overlap, the bound is too high.
- *softirq*: of the whole machine. On kernels that do not keep interrupts apart, part of it is in
  *system* already: again too high.

bound = min(1, removable / W) per window; its mean has a t interval over the windows. By Amdahl's
law no kernel makes a token shorter than by that share. What a kernel changes in the time that
programs take themselves (page sizes, NUMA placement, caches) is not in it.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass

from kernleap.model.serving import ServingProfile, ServingWindow, ThreadUse
from kernleap.stats.mean import Mean, mean_of

NOISY_RATE_VARIATION = 0.10
"""Windows whose tokens/s vary more than this (s / mean) did not measure one thing."""
NOISY_HALF_WIDTH = 0.03
"""An interval is too wide beyond this, in units of the token's time,"""
NOISY_HALF_WIDTH_RELATIVE = 0.25
"""and beyond this part of the bound."""
SPINNING_IDLE = 0.2
"""CPUs used with nothing to do, from which on a server is said to spin."""
SPINNING_ENGINES = {"vllm": "its workers wait in sched_yield loops"}
STEAL = 0.02
FOREIGN_CPUS = 0.15
DRIVER_CPU = 0.8
_Z95 = 1.96
_NUMBER = re.compile(r"[^A-Za-z]*\d+$")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bound: its share of the token's time, and what acts on it."""

    name: str
    share: Mean
    levers: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What any kernel could take out of a token's time.

    Attributes:
        share: of the token's time, with its interval; not above 1.
        settled: whether the windows agree enough to say.
        parts: system, waiting, softirq; before the cap at 1.
        work: the bound without waiting, which other programs add to: the kernel's own work.
        per_token: means by name: CPU, kernel, user, waiting and softirq time in us, voluntary
            and involuntary switches, wakeups.
        tokens_per_second: over the windows.
        kernel_ratio: kernel time / CPU time of the whole server.
        kernel_ratio_error: 95 % error of that ratio in one window from sampling by ticks, 0
            where it is exact: 1.96 * sqrt(p (1 - p) / ticks).
        windows: the bound, window by window.
        warnings: why it may mislead, and into which direction.
    """

    share: Mean
    settled: bool
    parts: tuple[Part, ...]
    work: Mean
    per_token: dict[str, Mean | None]
    tokens_per_second: Mean
    kernel_ratio: Mean
    kernel_ratio_error: float
    windows: tuple[float, ...]
    warnings: tuple[str, ...]

    @property
    def most(self) -> float:
        """The upper end of the interval, at most 1."""
        return min(1.0, max(0.0, self.share.high))

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        if not self.settled:
            return "too noisy to say: the windows differ more than the answer is worth"
        if self.most >= 1:
            return "this bounds nothing: the kernel's time and waiting may be all of a token's time"
        return (
            f"no kernel can shorten a token by more than {self.most * 100:.3g} % "
            f"(at most {1 / (1 - self.most):.3g} times the tokens/s)"
        )


_LEVERS = {
    "system": "system-call, scheduler and socket code; mitigations; audit and other hooks",
    "waiting": "the scheduler's choices (slice, preemption, placement); not waiting for work "
    "when all CPUs are busy",
    "softirq": "network receive and timers; busy polling, steering of packets",
}


def bound_of(profile: ServingProfile, confidence: float = 0.95) -> Bound:
    """The bound of a measured server.

    Raises:
        ValueError: fewer than two windows.
    """
    parts = [window_parts(window, profile.streams) for window in profile.windows]
    shares = tuple(min(1.0, sum(part.values())) for part in parts)
    share = mean_of(shares, confidence)
    rate = mean_of([w.tokens / w.elapsed_ns * 1e9 for w in profile.windows], confidence)
    kernel = mean_of([w.kernel_ns / max(1, w.cpu_ns) for w in profile.windows], confidence)
    return Bound(
        share=share,
        settled=_settled(share, rate, profile.open_loop),
        parts=tuple(
            Part(name, mean_of([part[name] for part in parts], confidence), levers)
            for name, levers in _LEVERS.items()
        ),
        work=mean_of([min(1.0, part["system"] + part["softirq"]) for part in parts], confidence),
        per_token=_per_token(profile.windows, confidence),
        tokens_per_second=rate,
        kernel_ratio=kernel,
        kernel_ratio_error=_sampling_error(profile, kernel.value),
        windows=shares,
        warnings=tuple(_warnings(profile, share, rate)),
    )


def window_parts(window: ServingWindow, streams: int) -> dict[str, float]:
    """System, waiting and softirq of one window, as shares of its W. See above."""
    by_process: dict[int, list[ThreadUse]] = defaultdict(list)
    for thread in window.threads:
        by_process[thread.pid].append(thread)
    system = waiting = 0.0
    for threads in by_process.values():
        first, *rest = sorted(threads, key=lambda t: t.run_ns + t.wait_ns, reverse=True)
        pools: dict[str, list[ThreadUse]] = defaultdict(list)
        for thread in rest:
            pools[_NUMBER.sub("", thread.name)].append(thread)
        system += first.kernel_ns
        waiting += first.wait_ns
        for pool in pools.values():
            system += _of_pool([t.kernel_ns for t in pool], streams)
            waiting += _of_pool([t.wait_ns for t in pool], streams)
    asked = max(1, window.asked_ns)
    return {
        "system": system / asked,
        "waiting": waiting / asked,
        "softirq": window.softirq_ns / asked,
    }


def _of_pool(values: list[int], streams: int) -> float:
    return max(*values, sum(values) / min(streams, len(values)))


def _settled(share: Mean, rate: Mean, open_loop: bool) -> bool:
    half = share.high - share.value
    wide = max(NOISY_HALF_WIDTH, NOISY_HALF_WIDTH_RELATIVE * share.value)
    return half <= wide and not _uneven(rate, open_loop)


def _uneven(rate: Mean, open_loop: bool) -> bool:
    """In an open loop, tokens/s vary with the arrivals, which says nothing of the machine."""
    return not open_loop and rate.variation > NOISY_RATE_VARIATION


def _sampling_error(profile: ServingProfile, ratio: float) -> float:
    if profile.accounting.exact:
        return 0.0
    ticks = min(window.ticks for window in profile.windows)
    return _Z95 * math.sqrt(ratio * (1 - ratio) / ticks) if ticks > 0 else 1.0


def _per_token(windows: tuple[ServingWindow, ...], confidence: float) -> dict[str, Mean | None]:
    def of(values: list[float]) -> Mean:
        pairs = zip(values, windows, strict=True)
        return mean_of([value / window.tokens for value, window in pairs], confidence)

    waits = [w.wait_ns for w in windows]
    known = [wait / 1e3 for wait in waits if wait is not None]
    return {
        "cpu_us": of([w.cpu_ns / 1e3 for w in windows]),
        "kernel_us": of([w.kernel_ns / 1e3 for w in windows]),
        "user_us": of([(w.cpu_ns - w.kernel_ns) / 1e3 for w in windows]),
        "wait_us": of(known) if len(known) == len(windows) else None,
        "machine_softirq_us": of([w.softirq_ns / 1e3 for w in windows]),
        "voluntary_switches": of([float(w.voluntary) for w in windows]),
        "involuntary_switches": of([float(w.involuntary) for w in windows]),
        "wakeups": of([float(w.voluntary) for w in windows]),
    }


def _warnings(profile: ServingProfile, share: Mean, rate: Mean) -> list[str]:
    return [
        *_spinning(profile),
        *_noise(profile, share, rate),
        *_driver(profile),
        *_account(profile),
    ]


def _spinning(profile: ServingProfile) -> list[str]:
    found = []
    if why := SPINNING_ENGINES.get(profile.engine):
        found.append(
            f"{profile.engine} spins: {why}; that counts as kernel time and is not the kernel's "
            "price, so the bound is too high"
        )
    if profile.idle_cpu_ratio > SPINNING_IDLE:
        found.append(
            f"the server wanted {profile.idle_cpu_ratio:.2f} CPUs with nothing asked of it: it "
            "spins, and its kernel time is not the kernel's price"
        )
    # A preemption per tick and CPU is the most that a scheduler does of its own accord, give or
    # take wakeups; a thread that yields is counted the same way, but as often as it likes.
    window_s = sum(w.elapsed_ns for w in profile.windows) / 1e9
    involuntary = sum(w.involuntary for w in profile.windows)
    voluntary = sum(w.voluntary for w in profile.windows)
    most = 4 * max(1000, profile.accounting.hz) * profile.cpus * window_s
    if involuntary > most and involuntary > 2 * voluntary:
        found.append(
            f"{involuntary / window_s:,.0f} involuntary switches a second: threads that call "
            "sched_yield in a loop look like this; the bound is too high"
        )
    return found


def _noise(profile: ServingProfile, share: Mean, rate: Mean) -> list[str]:
    found = []
    if uneven := _uneven(rate, profile.open_loop):
        found.append(
            f"tokens/s vary by {rate.variation:.0%} from window to window "
            f"(up to {NOISY_RATE_VARIATION:.0%} is calm): too noisy, or the windows are too short"
        )
    if not _settled(share, rate, profile.open_loop) and not uneven:
        found.append("the interval is too wide: give more windows, or longer ones")
    elapsed = sum(w.elapsed_ns for w in profile.windows)
    if (steal := sum(w.steal_ns for w in profile.windows) / elapsed) > STEAL:
        found.append(
            f"the hypervisor took {steal:.1%} of a CPU: this time is in no part of the bound"
        )
    busy = sum(w.busy_ns - w.cpu_ns for w in profile.windows) / elapsed
    if (others := busy - profile.driver_cpu_ratio) > FOREIGN_CPUS:
        found.append(
            f"other programs used {others:.2f} CPUs: the waiting is partly their doing; "
            "stop them and measure again"
        )
    if profile.nice > 0:
        found.append(f"kernleap runs at nice {profile.nice}, and a server it starts with it")
    return found


def _driver(profile: ServingProfile) -> list[str]:
    found = [f"load: {warning}" for warning in profile.driver_warnings]
    if profile.driver_cpu_ratio > DRIVER_CPU and not any("its core" in w for w in found):
        found.append(f"load: the driver used {profile.driver_cpu_ratio:.0%} of a CPU")
    if profile.failed_requests:
        found.append(
            f"{profile.failed_requests} of {profile.requests} requests failed: their tokens count, "
            "their end does not look like a good one's"
        )
    return found


def _account(profile: ServingProfile) -> list[str]:
    found = []
    if any(w.wait_ns is None for w in profile.windows):
        found.append("this kernel does not tell waiting (CONFIG_SCHED_INFO): the bound lacks it")
    if ended := sum(w.ended_threads for w in profile.windows):
        found.append(
            f"{ended} threads ended meanwhile: their last waiting and switches are not counted"
        )
    return found
