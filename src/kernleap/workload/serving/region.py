"""LLM serving as a region of the lab: what is served, how it is loaded, what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.run import Region as PlannedRegion
from kernleap.workload.serving.client import client_metrics
from kernleap.workload.serving.result import LoadResult

PROGRAM = "serving"
"""`program` of a planned region that an engine serves and the load driver measures."""
PER_TOKEN = "_per_token"  # noqa: S105 - a token of text
MEMORY_MIB = 1024
BOOTS = 10
"""One deterministic boot is one draw of a chaotic schedule."""
BOOTS_BESIDE_OTHERS = 3
"""Where serving is not all that is measured: what fits the time, and its spread is shown."""

SIDED = ("kernel_instructions", "user_instructions", "syscalls", "switches", "wakeups")
"""Quantities that are told for each side as well; the sides add up to the total exactly."""
SIDES = {
    "server": "the server's threads did",
    "client": "the load driver did",
    "rest": "neither did: kernel threads, the idle task, the guest's PID 1",
}

_LATENCIES = ("ttft", "itl", "tpot", "e2e")
_QUANTILES = {"p50": 0.5, "p99": 0.99}
_RATE = "tokens_per_second"


@dataclass(frozen=True, slots=True)
class ServingRegion:
    """A closed loop of streams on the tiny model.

    Each request yields exactly `tokens` events; an operation is one of them, whatever stream
    it belongs to.
    """

    engine: str
    streams: int
    requests: int
    tokens: int
    prompt: int

    @property
    def name(self) -> str:
        """`serving/ENGINE`."""
        return f"{PROGRAM}/{self.engine}"

    @property
    def planned(self) -> PlannedRegion:
        """The region as a plan carries it; `params` are read by kernleap.guest.serving."""
        return PlannedRegion(
            name=self.name,
            program=PROGRAM,
            form=self.engine,
            iterations=self.requests * self.tokens,
            warmup=self.streams,
            params=(self.streams, self.requests, self.tokens, self.prompt),
        )

    def metrics(self, counted: tuple[tuple[str, str, str], ...]) -> Iterator[Metric]:
        """All metrics; `counted` are (quantity, unit, description) of one operation."""
        for quantity, unit, description in counted:
            primary = quantity == "kernel_instructions"
            yield Metric(
                name=f"{self.name}/{quantity}{PER_TOKEN}",
                unit=unit.replace("/op", "/token"),
                better=Better.LOWER if primary else Better.NEITHER,
                grade=Grade.COUNTED,
                role=Role.SCHEDULED if primary else Role.BEHAVIOUR,
                aggregation="mean",
                description=f"Per token streamed; server, client and sockets. {description}",
            )
        for quantity, unit, _ in counted:
            if quantity in SIDED:
                yield from self._sided(quantity, unit.replace("/op", "/token"))
        for metric in client_metrics(self.name, guest_time=True):
            if metric.quantity in self.timed():
                unit = "tokens/guest s" if metric.quantity == _RATE else "guest ms"
                yield replace(metric, grade=Grade.COUNTED, unit=unit)

    def _sided(self, quantity: str, unit: str) -> Iterator[Metric]:
        for side, whose in SIDES.items():
            path = quantity == "kernel_instructions" and side != "rest"
            yield Metric(
                name=f"{self.name}/{quantity}_of_{side}{PER_TOKEN}",
                unit=unit,
                better=Better.LOWER if path else Better.NEITHER,
                grade=Grade.COUNTED,
                role=Role.SCHEDULED if path else Role.BEHAVIOUR,
                aggregation="mean",
                description=f"What of `{quantity}{PER_TOKEN}` {whose}.",
            )

    @staticmethod
    def timed() -> tuple[str, ...]:
        """Quantities in guest time, in which an instruction takes a nanosecond."""
        return (*(f"{name}_{q}" for name in _LATENCIES for q in _QUANTILES), _RATE)


def guest_time_values(result: LoadResult) -> dict[str, float]:
    """The quantities of `ServingRegion.timed` that this load has, by name."""
    values = {
        f"{name}_{q}": found.value / 1e6
        for name in _LATENCIES
        for q, probability in _QUANTILES.items()
        if (found := result.histograms[name].quantile(probability)) is not None
    }
    if result.window_s > 0:
        values[_RATE] = result.tokens_in_window / result.window_s
    return values


TINY = ServingRegion("llama.cpp-tiny", streams=8, requests=48, tokens=32, prompt=16)
"""The default: eight streams, a model so small that the kernel's share is large."""
