"""What is measured of a placement: declared once, here; docs/metrics.md is generated from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kernleap.model.metric import Better, Grade, Metric, Role

LOCALITY = "locality"
"""The quantity that carries verdicts."""


@dataclass(frozen=True, slots=True)
class PlacedQuantity:
    """The last part of a metric's name; `source` says who saw it."""

    name: str
    unit: str
    source: str
    description: str
    of_messages: bool = False
    """Only workloads whose threads hand messages to one another have it."""


QUANTITIES: tuple[PlacedQuantity, ...] = (
    PlacedQuantity(
        LOCALITY,
        "ratio",
        "threads",
        "Share of thread time on the busiest last-level cache of the thread's own process, over "
        "all processes by their time. 1: each process keeps to one cache; 1/N: spread evenly over "
        "N caches.",
    ),
    PlacedQuantity(
        "handoffs_across",
        "ratio",
        "threads",
        "Share of messages between threads that were sent in another last-level cache than they "
        "were taken up in.",
        of_messages=True,
    ),
    PlacedQuantity(
        "wakeups_across",
        "ratio",
        "trace",
        "Share of wakeups whose waker ran in another last-level cache than the woken thread then "
        "did.",
        of_messages=True,
    ),
    PlacedQuantity(
        "migrations_within",
        "migrations/guest s",
        "trace",
        "Moves of threads to another CPU of the same last-level cache.",
    ),
    PlacedQuantity(
        "migrations_across",
        "migrations/guest s",
        "trace",
        "Moves of threads to a CPU of another last-level cache.",
    ),
    PlacedQuantity(
        "converged",
        "guest ms",
        "threads",
        "Time from the release to the moment from which on, to the window's end, at least 90 % of "
        "thread time is on the process's busiest cache; the window's length where it never is.",
    ),
    PlacedQuantity(
        "imbalance",
        "ratio",
        "threads",
        "Thread time on the busiest last-level cache over the mean of all: 1 is even, N is all on "
        "one of N.",
    ),
    PlacedQuantity(
        "queued",
        "ratio",
        "director",
        "Share of runnable threads that wait behind another of the workload's threads while some "
        "CPU has none of them, over the instants that the director looked.",
    ),
)


def metrics_of(region: str, messages: bool) -> Iterator[Metric]:
    """All metrics of the region of that name, locality first."""
    for quantity in QUANTITIES:
        if quantity.of_messages and not messages:
            continue
        primary = quantity.name == LOCALITY
        yield Metric(
            name=f"{region}/{quantity.name}",
            unit=quantity.unit,
            better=Better.HIGHER if primary else Better.NEITHER,
            grade=Grade.PLACED,
            role=Role.SCHEDULED if primary else Role.BEHAVIOUR,
            aggregation="mean",
            description=quantity.description,
        )
