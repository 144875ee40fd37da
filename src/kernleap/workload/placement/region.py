"""Placement workloads, and their sizes on a given shape of machine.

Cache-aware scheduling gathers the threads of a process in one last-level cache only under
conditions of its own: several threads, fewer running ones than CAPACITY of the cache's CPUs (an
SMT sibling counts as one more), and no cache busier than half. Workloads of the form `scattered`
are sized so that these hold on the profile; those of the form `control` so that they do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kernleap.model.errors import UsageError
from kernleap.model.metric import Metric
from kernleap.model.run import Region as PlannedRegion
from kernleap.model.topology import Topology
from kernleap.workload.placement.metrics import metrics_of

PLACEMENT = "placement"
CAPACITY = 0.8
"""Share of a cache's CPUs that the running threads of a process must stay below."""
HALF_BUSY = 0.5
SCATTERED, CONTROL = "scattered", "control"
SCATTER_MS, WINDOW_MS = 200, 1000
PLAYS = {SCATTERED: 3, CONTROL: 2}
"""A boot plays each workload several times: chance alone moves a thread now and then, and what
is gathered is so within a tenth of a second."""


class Size(StrEnum):
    """How many processes of how many threads a workload has."""

    FITS = "fits"
    """A process for each cache, as many threads as the conditions allow."""
    CROWD = "crowd"
    """One process with as many threads as a cache has CPUs."""
    SINGLE = "single"
    """Processes of one thread, two for each cache."""
    SERVERS = "servers"
    """An LLM server with two workers for every two caches."""


@dataclass(frozen=True, slots=True)
class PlacementRegion:
    """One placement workload, not yet sized for a machine."""

    workload: str
    shape: str
    """Name of the shape in native/guest/placement."""
    size: Size
    form: str
    description: str
    why: str

    @property
    def name(self) -> str:
        """`workload/form`, the first two parts of a metric's name."""
        return f"{self.workload}/{self.form}"

    @property
    def messages(self) -> bool:
        """Whether its threads hand messages to one another."""
        return self.shape != "spin"

    def metrics(self) -> Iterator[Metric]:
        """All metrics, locality first."""
        return metrics_of(self.name, self.messages)

    @property
    def planned(self) -> PlannedRegion:
        """The region on the default profile's caches of six CPUs; see `sized` for others."""
        return SizedRegion(self, *_count(self.size, caches=2, cpus=6, smt=1)).planned


@dataclass(frozen=True, slots=True)
class SizedRegion:
    """A workload with the processes and threads it has on one shape of machine."""

    region: PlacementRegion
    groups: int
    """Processes; for servers, servers."""
    threads: int
    """In each; for servers, workers."""

    def metrics(self) -> Iterator[Metric]:
        """The metrics do not depend on the size."""
        return self.region.metrics()

    @property
    def planned(self) -> PlannedRegion:
        """As a plan carries it; see kernleap.guest.plan.placed_plan for what the numbers are."""
        return PlannedRegion(
            name=self.region.name,
            program=self.region.shape,
            form=self.region.form,
            iterations=WINDOW_MS,
            warmup=SCATTER_MS,
            params=(self.groups, self.threads, PLAYS[self.region.form]),
        )


WORKLOADS: tuple[PlacementRegion, ...] = (
    PlacementRegion(
        "spin",
        "spin",
        Size.FITS,
        SCATTERED,
        "Threads that compute on the data of their process and never sleep.",
        "The plainest case of what a cache-aware scheduler gathers: the threads of a model's math.",
    ),
    PlacementRegion(
        "ping-pong",
        "ping-pong",
        Size.FITS,
        SCATTERED,
        "Pairs of threads of a process hand a token to and fro by a futex, a little work each.",
        "Every hand-over between a runtime's threads: one wakes the other and sleeps.",
    ),
    PlacementRegion(
        "pipeline",
        "pipeline",
        Size.FITS,
        SCATTERED,
        "The threads of a process pass items from one to the next through rings of 16.",
        "Tokenising, batching and detokenising stages of a server.",
    ),
    PlacementRegion(
        "serving-shape",
        "serving",
        Size.SERVERS,
        SCATTERED,
        "An API process (streaming and tokenising threads), an engine core (input, loop, output), "
        "two workers with a helper thread each; unix sockets between API and core, polled shared "
        "memory between core and workers, eight requests in flight.",
        "How vLLM splits itself into processes; there is no model, its time is fixed computation.",
    ),
    PlacementRegion(
        "crowd",
        "spin",
        Size.CROWD,
        CONTROL,
        "One process of spinning threads, as many as a cache has CPUs: too many to be gathered.",
        "Negative control: the feature must leave it alone.",
    ),
    PlacementRegion(
        "single",
        "spin",
        Size.SINGLE,
        CONTROL,
        "Spinning processes of one thread, two for each cache: nothing to gather.",
        "Negative control: the feature must leave it alone.",
    ),
)


def sized(region: PlacementRegion, topology: Topology) -> SizedRegion:
    """The workload's size on that shape, its conditions checked.

    Raises:
        UsageError: the shape has one cache, or caches too small for the kernel's conditions.
    """
    caches = len(topology.truth.llcs)
    cpus, smt = topology.llc_cpus, topology.emulator.threads
    if caches < 2:
        raise UsageError(
            f"{topology.name} has a single last-level cache: nothing to be placed between",
            where="--profile",
            next_step="kernleap profile list",
        )
    chosen = SizedRegion(region, *_count(region.size, caches, cpus, smt))
    if region.size is Size.FITS:
        running = chosen.threads * smt
        if running >= CAPACITY * cpus or chosen.threads >= HALF_BUSY * cpus:
            raise UsageError(
                f"the caches of {topology.name} are too small for {region.name}",
                where="--profile",
                cause=f"{chosen.threads} threads do not fit in {cpus} CPUs under the conditions of "
                "cache-aware scheduling",
                next_step="use a profile whose last-level caches have at least 6 CPUs",
            )
    return chosen


def _count(size: Size, caches: int, cpus: int, smt: int) -> tuple[int, int]:
    if size is Size.FITS:
        return caches, max(2, cpus // (3 * smt))
    if size is Size.CROWD:
        return 1, cpus
    if size is Size.SINGLE:
        return 2 * caches, 1
    return max(1, caches // 2), 2
