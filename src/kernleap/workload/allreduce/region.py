"""All-reduce as a region of a run: how many ranks, how many bytes, and what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import UsageError
from kernleap.model.metric import Better, Metric, timed_metric
from kernleap.model.run import Region as PlannedRegion

PROGRAM = "allreduce"
"""Suite, first part of the metrics' names, and `program` of a planned region (`allreduce:gloo`)."""
BOOTS = 10
GLOO, NCCL = "gloo", "nccl"
PROGRAMS = tuple(f"{PROGRAM}:{backend}" for backend in (GLOO, NCCL))
"""`program` of planned regions."""
MOST_RANKS = 64
MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Quantity:
    """The last part of a metric's name."""

    name: str
    unit: str
    better: Better
    formula: str
    source: str


_RANKS = "getrusage of the rank processes, their sum"
_OP = "/ operations"
QUANTITIES: tuple[Quantity, ...] = (
    Quantity("latency", "us", Better.LOWER, "longest time that a rank spent in the operation; the "
             "value of a trial is the median over its operations", "CLOCK_MONOTONIC of each rank"),
    Quantity("latency_p90", "us", Better.LOWER, "90 % quantile of the latency over operations",
             "as this"),
    Quantity("latency_p99", "us", Better.LOWER, "99 % quantile of the latency over operations",
             "as this"),
    Quantity("algorithm_bandwidth", "MB/s", Better.HIGHER, "bytes of the tensor x operations / "
             "time of the whole loop (10^6 bytes)", "NCCL tests, PERFORMANCE.md: algbw = S / t"),
    Quantity("bus_bandwidth", "MB/s", Better.NEITHER, "algorithm_bandwidth x 2 (n - 1) / n with n "
             "ranks: what each link carries, comparable between numbers of ranks",
             "NCCL tests, PERFORMANCE.md: busbw"),
    Quantity("kernel_time_per_operation", "us/op", Better.LOWER, f"system time {_OP}",
             f"{_RANKS}; sampled by the tick on most kernels"),
    Quantity("user_time_per_operation", "us/op", Better.NEITHER, f"user time {_OP}",
             f"{_RANKS}; sampled by the tick on most kernels"),
    Quantity("cpu_time_per_operation", "us/op", Better.LOWER, f"system and user time {_OP}",
             f"{_RANKS}, exact"),
    Quantity("voluntary_switches_per_operation", "switches/op", Better.NEITHER,
             f"switches that the ranks asked for {_OP}", _RANKS),
    Quantity("involuntary_switches_per_operation", "switches/op", Better.NEITHER,
             f"switches by preemption {_OP}", _RANKS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AllreduceRegion:
    """One tensor of float32, summed over all ranks, again and again.

    Attributes:
        ranks: processes.
        size_bytes: of the tensor, a multiple of 4.
        operations: measured, after `warmup` that are not.
        backend: gloo (TCP over loopback here) or nccl (a GPU a rank).
    """

    ranks: int = 2
    size_bytes: int = 65_536
    operations: int = 1000
    warmup: int = 100
    backend: str = GLOO

    def __post_init__(self) -> None:
        """Reject what cannot be run; UsageError says which and why."""
        for what, value, low, high in (
            ("ranks", self.ranks, 2, MOST_RANKS),
            ("bytes", self.size_bytes, 4, MOST_BYTES),
            ("operations", self.operations, 1, 1_000_000),
            ("operations to warm up", self.warmup, 0, 1_000_000),
        ):
            if not low <= value <= high:
                raise UsageError(f"all-reduce: {low} to {high} {what}, not {value}")
        if self.size_bytes % 4:
            raise UsageError(
                f"all-reduce: {self.size_bytes} bytes are no whole number of float32",
                next_step="give a multiple of 4",
            )
        if self.backend not in (GLOO, NCCL):
            raise UsageError(f"all-reduce: the backends are {GLOO} and {NCCL}")

    @property
    def name(self) -> str:
        """`allreduce/BACKEND-RANKSxBYTES`."""
        return f"{PROGRAM}/{self.backend}-{self.ranks}x{self.size_bytes}"

    @property
    def planned(self) -> PlannedRegion:
        """As a plan carries it."""
        return PlannedRegion(
            name=self.name,
            program=f"{PROGRAM}:{self.backend}",
            form=self.name.partition("/")[2],
            iterations=self.operations,
            warmup=self.warmup,
            params=(self.ranks, self.size_bytes),
        )

    @classmethod
    def from_plan(cls, region: PlannedRegion) -> AllreduceRegion:
        """The region that a plan carries.

        Raises:
            UsageError: it is none of these.
        """
        if len(region.params) != 2:
            raise UsageError("this is no all-reduce of this version", where=region.name)
        backend = region.program.partition(":")[2]
        return cls(*region.params, region.iterations, region.warmup, backend)

    def metrics(self) -> Iterator[Metric]:
        """All metrics; timed."""
        for quantity in QUANTITIES:
            yield timed_metric(
                f"{self.name}/{quantity.name}",
                quantity.unit,
                quantity.better,
                f"{quantity.formula}. Source: {quantity.source}.",
            )


def usual_backend(ranks: int) -> str:
    """NCCL where there is an NVIDIA GPU for each rank, else gloo."""
    gpus = sum(1 for node in Path("/dev").glob("nvidia[0-9]*") if node.name[6:].isdecimal())
    return NCCL if gpus >= ranks else GLOO
