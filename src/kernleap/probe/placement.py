"""What a guest wrote of its placement workloads, decoded and turned into quantities.

The same thread time is known twice: the threads noted it themselves (`Seat.time_us`), and the
kernel's scheduler reported it to a histogram (`Play.runtime`). `disagreement` compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernleap.guest.channel import ChannelError, Records

BINS = 96
"""`MAX_BINS` of native/guest/placement/stage.h."""
CONVERGED = 0.9
"""Share of thread time on its process's busiest cache from which on it counts as gathered."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """One thread. `time_us` has shape (BINS, CPUs): its CPU time by time since the release."""

    process: int
    thread: int
    role: str
    tid: int
    handoffs: int
    crossings: int
    time_us: Matrix


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """One workload as it ran. Matrices are over CPUs; all of them cover the second half."""

    name: str
    bins: int
    """Bins of the window."""
    bin_ms: int
    seats: tuple[Seat, ...]
    runnable: int
    queued: int
    traced_ms: tuple[float, float]
    """When the trace was read, since the release."""
    untraced: str
    """Why the kernel offers no trace; "" where it does."""
    runtime: Mapping[int, NDArray[np.float64]]
    """Thread time in ns by tid, shape (CPUs,)."""
    migrations: Matrix
    wakeups: Matrix

    @property
    def processes(self) -> tuple[tuple[Seat, ...], ...]:
        """Seats by process."""
        by_number: dict[int, list[Seat]] = defaultdict(list)
        for seat in self.seats:
            by_number[seat.process].append(seat)
        return tuple(tuple(by_number[number]) for number in sorted(by_number))


def read_plays(records: Records, cpus: int) -> tuple[Play, ...]:
    """The plays of a boot, in their order.

    Raises:
        ChannelError: they are incomplete or garbled.
    """
    try:
        return tuple(_play(records, head, cpus) for head in records.of("placement"))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ChannelError(f"what the guest wrote of its threads is garbled: {error!r}") from error


def _play(records: Records, head: dict[str, Any], cpus: int) -> Play:
    number = head["region"]

    def of(kind: str) -> list[dict[str, Any]]:
        return [r for r in records.of(kind) if r["region"] == number]

    if head["status"] != "ok":
        raise ChannelError(f"{head['name']}: {head['why']}")
    (watched,) = of("watched")
    times = [np.zeros((BINS, cpus)) for _ in range(head["seats"])]
    for where in of("where"):
        triples = np.array(where["time"], dtype=np.int64).reshape(-1, 3)
        times[where["seat"]][triples[:, 0], triples[:, 1]] += triples[:, 2]
    seats = tuple(
        Seat(
            process=int(s["process"]),
            thread=int(s["thread"]),
            role=str(s["role"]),
            tid=int(s["tid"]),
            handoffs=int(s["handoffs"]),
            crossings=int(s["crossings"]),
            time_us=times[s["seat"]],
        )
        for s in of("seat")
    )
    if len(seats) != head["seats"]:
        raise ChannelError(f"{head['name']}: {len(seats)} of {head['seats']} threads reported")
    runtime = {seat.tid: np.zeros(cpus) for seat in seats}
    tables = {"migrations": np.zeros((cpus, cpus)), "wakeups": np.zeros((cpus, cpus))}
    for rows in of("traced"):
        for first, second, value in rows["rows"]:
            if rows["what"] == "runtime":
                if first in runtime:
                    runtime[first][second] += value
            else:
                tables[rows["what"]][first, second] += value
    return Play(
        name=str(head["name"]),
        bins=int(head["bins"]),
        bin_ms=int(head["bin_ms"]),
        seats=seats,
        runnable=int(watched["runnable"]),
        queued=int(watched["queued"]),
        traced_ms=(watched["half_ns"] / 1e6, watched["full_ns"] / 1e6),
        untraced=str(watched["untraced"]),
        runtime=runtime,
        **tables,
    )


def by_llc(cpu_values: Matrix, llc_of: Mapping[int, int]) -> Matrix:
    """Sums over the CPUs of each last-level cache: shape (..., CPUs) to (..., caches)."""
    out = np.zeros((*cpu_values.shape[:-1], max(llc_of.values()) + 1))
    for cpu, llc in llc_of.items():
        out[..., llc] += cpu_values[..., cpu]
    return out


def _gathered(times: list[Matrix]) -> float:
    """Share of time on the busiest cache of each process; `times`: one (caches,) a process."""
    total = float(sum(t.sum() for t in times))
    return float(sum(t.max() for t in times)) / total if total > 0 else float("nan")


def locality(play: Play, llc_of: Mapping[int, int], first: int, last: int) -> float:
    """Locality as the threads noted it, over the bins from `first` to before `last`."""
    return _gathered(
        [
            by_llc(sum((s.time_us[first:last].sum(axis=0) for s in seats), np.zeros(len(llc_of))),
                   llc_of)
            for seats in play.processes
        ]
    )  # fmt: skip


def disagreement(play: Play, llc_of: Mapping[int, int]) -> float:
    """How far the locality of threads and trace are apart, over the time that both cover."""
    first, last = (round(ms / play.bin_ms) for ms in play.traced_ms)
    own = locality(play, llc_of, first, min(last, BINS))
    traced = _gathered(
        [
            by_llc(sum((play.runtime[s.tid] for s in seats), np.zeros(len(llc_of))), llc_of)
            for seats in play.processes
        ]
    )
    return abs(own - traced)


def converged_ms(play: Play, llc_of: Mapping[int, int]) -> float:
    """Time after which every bin of the window is gathered; the window's length if none is."""
    bins = play.bins
    while bins > 0 and locality(play, llc_of, bins - 1, bins) >= CONVERGED:
        bins -= 1
    return float(bins * play.bin_ms)


def quantities(play: Play, llc_of: Mapping[int, int]) -> dict[str, float]:
    """The quantities of `kernleap.workload.placement` that this play has, by name."""
    half = play.bins // 2
    seconds = (play.traced_ms[1] - play.traced_ms[0]) / 1000
    spent = by_llc(
        sum((s.time_us[half : play.bins].sum(axis=0) for s in play.seats), np.zeros(len(llc_of))),
        llc_of,
    )
    found = {
        "locality": locality(play, llc_of, half, play.bins),
        "converged": converged_ms(play, llc_of),
        "imbalance": float(spent.max() / spent.mean()) if spent.sum() else float("nan"),
        "queued": play.queued / play.runnable if play.runnable else float("nan"),
    }
    if handoffs := sum(s.handoffs for s in play.seats):
        found["handoffs_across"] = sum(s.crossings for s in play.seats) / handoffs
    if not play.untraced and seconds > 0:
        within, across = _split(play.migrations, llc_of)
        found["migrations_within"], found["migrations_across"] = within / seconds, across / seconds
        within, across = _split(play.wakeups, llc_of)
        if handoffs and within + across:
            found["wakeups_across"] = across / (within + across)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _split(matrix: Matrix, llc_of: Mapping[int, int]) -> tuple[float, float]:
    """Sums of what stays within a cache, and of what goes across."""
    caches = np.array([llc_of[cpu] for cpu in range(len(llc_of))])
    same = caches[:, None] == caches[None, :]
    return float(matrix[same].sum()), float(matrix[~same].sum())


def whereabouts(play: Play, llc_of: Mapping[int, int]) -> list[dict[str, Any]]:
    """Where each thread was over time: for pictures, JSON-serialisable.

    `path` has a character for each bin of the window: the number of the cache that had most of
    the thread's time (base 36), or `.` where it ran for less than a hundredth of the bin.
    """
    least = play.bin_ms * 1000 / 100
    rows = []
    for seat in play.seats:
        spent = by_llc(seat.time_us[: play.bins], llc_of)
        path = "".join(
            np.base_repr(int(bin_.argmax()), 36) if bin_.sum() >= least else "." for bin_ in spent
        )
        rows.append({"process": seat.process, "role": seat.role, "path": path})
    return rows
