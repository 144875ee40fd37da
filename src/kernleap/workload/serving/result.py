"""What `kernleap-load` says of a load, here or in a guest.

What it says of itself is part of it: a load whose driver was late or short of CPU has warnings, and
its latencies are an upper bound at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving.histogram import Histogram
from kernleap.workload.serving.records import KINDS

HISTOGRAMS = ("ttft", "itl", "tpot", "e2e", "schedule_delay")
LATE_NS = 1_000_000
"""A schedule delay beyond this, at the 99th percentile, makes a run's latencies suspect."""
CPU_BOUND = 0.8
"""So does a driver that used more of its one core than this."""

_SUMMARY_MOST = 64 << 20


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the driver measured. Times in nanoseconds, of CLOCK_MONOTONIC where absolute.

    Attributes:
        window: when the measured window opened and closed; both 0 if it never opened.
        tokens_in_window: token events of all requests in it.
        ended_in_window: measured requests that ended well in it.
        measured, warmup: requests by how they ended (`records.KINDS`).
        histograms: by the names in HISTOGRAMS; ttft, tpot and e2e of measured requests that
            ended well, itl and schedule_delay of all measured ones.
        cpu_ns: CPU time of the driver in the window.
        gave_up: it met `failures_max` failures in a row and sent nothing more.
        requests_file, events_file: for `records`, where they were kept.
    """

    form: str
    arrival: str
    seed: int
    started: int
    window: tuple[int, int]
    interrupted: bool
    gave_up: bool
    tokens_in_window: int
    ended_in_window: int
    bytes_in: int
    retried: int
    queued: int
    connections: int
    idle_closed: int
    records: int
    events_kept: int
    events_dropped: int
    cpu_ns: int
    measured: Mapping[str, int]
    warmup: Mapping[str, int]
    histograms: Mapping[str, Histogram] = field(repr=False)
    requests_file: Path | None = None
    events_file: Path | None = None

    @property
    def window_s(self) -> float:
        """How long the window was open, in seconds."""
        return (self.window[1] - self.window[0]) / 1e9

    @property
    def cpu_us_per_event(self) -> float | None:
        """CPU time of the driver for each token event, in microseconds."""
        return self.cpu_ns / 1e3 / self.tokens_in_window if self.tokens_in_window else None

    @property
    def cpu_ratio(self) -> float | None:
        """Share of one core that the driver used."""
        return self.cpu_ns / 1e9 / self.window_s if self.window_s > 0 else None

    def warnings(self, late_ns: int = LATE_NS) -> tuple[str, ...]:
        """Why the latencies may be the driver's and not the server's; empty when it kept up."""
        found = []
        delay = self.histograms["schedule_delay"].quantile(0.99)
        if delay is not None and delay.low > late_ns:
            found.append(
                f"the driver was late: 99 % of requests started within {delay.value / 1e6:.3g} ms "
                f"of their time, the bound is {late_ns / 1e6:.3g} ms"
            )
        if self.queued:
            found.append(
                f"{self.queued} requests waited because max_streams were in flight; "
                "their latency counts from when they were due"
            )
        if self.cpu_ratio is not None and self.cpu_ratio > CPU_BOUND:
            found.append(
                f"the driver used {self.cpu_ratio:.0%} of its core: it may be the bottleneck"
            )
        if self.gave_up:
            found.append("the driver gave up: nothing but failures, many in a row")
        if self.events_dropped:
            found.append(f"{self.events_dropped} token events are counted but not recorded")
        return tuple(found)


def parse_summary(text: str, where: str) -> LoadResult:
    """The summary that the driver wrote, here or in a guest; nothing in it is believed unchecked.

    Raises:
        InfrastructureError: it is not one.
    """
    try:
        return _load_result(text, where)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InfrastructureError(
            "the load driver's summary cannot be read",
            where=where,
            cause=f"{type(error).__name__}: {error}"[:200],
        ) from error


def _load_result(text: str, where: str) -> LoadResult:
    if len(text) > _SUMMARY_MOST:
        raise ValueError("it is too long")
    raw = json.loads(text)
    if raw["version"] != 1:
        raise ValueError(f"version {raw['version']!r} is not known")
    counts: dict[str, Any] = {name: _count(raw[name]) for name in _COUNTS}
    opened, closed = (_count(value) for value in raw["window"])
    if closed < opened:
        raise ValueError("its window closes before it opens")
    return LoadResult(
        form=_word(raw["form"]),
        arrival=_word(raw["arrival"]),
        window=(opened, closed),
        interrupted=raw["interrupted"] is True,
        gave_up=raw["gave_up"] is True,
        cpu_ns=_count(raw["cpu_user_ns"]) + _count(raw["cpu_system_ns"]),
        measured=_kinds(raw["measured"]),
        warmup=_kinds(raw["warmup"]),
        histograms={
            name: Histogram.from_json(raw["histograms"][name], f"{where}: {name}")
            for name in HISTOGRAMS
        },
        **counts,
    )


_COUNTS = (
    "seed", "started", "tokens_in_window", "ended_in_window", "bytes_in", "retried", "queued",
    "connections", "idle_closed", "records", "events_kept", "events_dropped",
)  # fmt: skip


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
        raise ValueError(f"not a count: {value!r}"[:100])
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > 32:
        raise ValueError("not a word")
    return value


def _kinds(raw: dict[str, Any]) -> dict[str, int]:
    if not set(raw) <= set(KINDS):
        raise ValueError("an unknown kind of ending")
    return {kind: _count(number) for kind, number in raw.items()}
