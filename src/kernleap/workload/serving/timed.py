"""Serving on a real machine: the region of a plan, what is timed, and the values of one trial.

Costs are of the server's process tree between two readings of its account, for each token that
the load driver received in between; latencies are the driver's, of the window it measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import PurePath

from kernleap.model.errors import UsageError
from kernleap.model.metric import Better, Metric, timed_metric
from kernleap.model.run import Region as PlannedRegion
from kernleap.model.serving import ServingWindow
from kernleap.workload.serving.client import ClientQuantity, Slo, client_metrics
from kernleap.workload.serving.load import Closed, Fixed, LoadSpec

PROGRAM = "serving"
BOOTS = 10
"""Trials of each arm: fewer leave most questions open."""


@dataclass(frozen=True, slots=True)
class TimedRegion:
    """One engine under a closed loop of streams, for a window of real time.

    Attributes:
        engine: as a reference, `llama.cpp:tiny`.
        streams: requests in flight.
        prompt, output: tokens of a request and of its answer.
        threads: that compute, of an engine that is started.
        warmup_ms, window_ms: load before, and in, the measured window.
        warm: one server for all trials instead of a fresh one for each.
        slo_ttft_ms, slo_tpot_ms: bounds of a good request; 0: none.
    """

    engine: str = "llama.cpp:tiny"
    streams: int = 8
    prompt: int = 32
    output: int = 128
    threads: int = 1
    warmup_ms: int = 1000
    window_ms: int = 5000
    warm: bool = False
    slo_ttft_ms: int = 0
    slo_tpot_ms: int = 0

    @property
    def name(self) -> str:
        """`serving/ENGINE-MODEL`, or `serving/ENGINE` where the engine names no model."""
        engine, _, argument = self.engine.partition(":")
        if engine == "llama.cpp":
            return f"{PROGRAM}/{engine}-{_word(PurePath(argument or 'tiny').stem)}"
        return f"{PROGRAM}/{engine}"

    @property
    def planned(self) -> PlannedRegion:
        """As a plan carries it: `program` is the engine, `params` the numbers in order."""
        return PlannedRegion(
            name=self.name,
            program=self.engine,
            form=self.name.partition("/")[2],
            iterations=self.window_ms,
            warmup=self.warmup_ms,
            params=tuple(int(getattr(self, name)) for name in _PARAMS),
        )

    @classmethod
    def from_plan(cls, region: PlannedRegion) -> TimedRegion:
        """The region that a plan carries.

        Raises:
            UsageError: it is none of these.
        """
        if len(region.params) != len(_PARAMS):
            raise UsageError(
                "this region cannot be run on the running machine",
                where=region.name,
                cause="the plan was made by another version, or for another kind of machine",
            )
        streams, prompt, output, threads, warmup_ms, window_ms, warm, ttft, tpot = region.params
        return cls(
            region.program, streams, prompt, output, threads, warmup_ms, window_ms,
            bool(warm), ttft, tpot,
        )  # fmt: skip

    def load(self, seed: int) -> LoadSpec:
        """The load of a trial."""
        return LoadSpec(
            Closed(self.streams), Fixed(self.prompt), Fixed(self.output),
            duration_s=self.window_ms / 1e3, warmup_s=self.warmup_ms / 1e3, seed=seed,
        )  # fmt: skip

    @property
    def slo(self) -> Slo:
        """Of goodput."""
        return Slo(self.slo_ttft_ms or None, self.slo_tpot_ms or None)

    def metrics(self) -> Iterator[Metric]:
        """All metrics: costs of the server, then what the client sees."""
        for quantity in QUANTITIES:
            yield timed_metric(
                f"{self.name}/{quantity.name}",
                quantity.unit,
                quantity.better,
                f"{quantity.formula}. Source: {quantity.source}.",
            )
        yield from client_metrics(self.name, guest_time=False)


_PARAMS = tuple(f.name for f in fields(TimedRegion) if f.name != "engine")

_PER = "/ tokens received in the span"
_TREE = "server's process tree"


def _cost(
    name: str, unit: str, formula: str, source: str, better: Better = Better.LOWER
) -> ClientQuantity:
    return ClientQuantity(f"{name}_per_token", unit, better, f"{formula} {_PER}", source)


QUANTITIES: tuple[ClientQuantity, ...] = (
    _cost("kernel_time", "us/token", f"CPU time of the {_TREE} x stime / (utime + stime)",
          "/proc/PID/stat; sampled by the tick on most kernels: the trial's facts give its error"),
    _cost("cpu_time", "us/token", f"CPU time of the {_TREE}",
          "the scheduler's clock of each process, exact"),
    _cost("user_time", "us/token", "(CPU time - kernel time)", "as these"),
    _cost("runqueue_wait", "us/token", f"time that threads of the {_TREE} were ready and not run",
          "/proc/PID/task/TID/schedstat, exact; other programs add to it"),
    _cost("voluntary_switches", "switches/token", f"switches of the {_TREE} that it asked for",
          "/proc/PID/task/TID/status, exact", Better.NEITHER),
    _cost("involuntary_switches", "switches/token", f"switches of the {_TREE} by preemption",
          "/proc/PID/task/TID/status, exact", Better.NEITHER),
    _cost("wakeups", "wakeups/token", f"wakeups by threads of the {_TREE}, of whatever thread",
          "tracepoint sched:sched_waking, exact; absent without tracefs and its right",
          Better.NEITHER),
    _cost("softirq_time", "us/token", "softirq time of the whole machine",
          "/proc/stat; sampled by the tick on most kernels", Better.NEITHER),
    _cost("net_softirqs", "softirqs/token", "NET_RX and NET_TX softirqs of the whole machine",
          "/proc/softirqs, exact", Better.NEITHER),
    _cost("energy", "J/token", "energy of all packages, their memory, and GPUs that can be read",
          "powercap (RAPL), NVML; absent where neither is readable"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """What was read of the machine between the same two moments as a window."""

    wakeups: int | None
    net_softirqs: int | None
    joules: Mapping[str, float]


def window_values(window: ServingWindow, machine: MachineCosts) -> dict[str, float]:
    """The value of each quantity that this window has one of, by its name."""
    costs: dict[str, float | None] = {
        "kernel_time": window.kernel_ns / 1e3,
        "cpu_time": window.cpu_ns / 1e3,
        "user_time": (window.cpu_ns - window.kernel_ns) / 1e3,
        "runqueue_wait": None if window.wait_ns is None else window.wait_ns / 1e3,
        "voluntary_switches": window.voluntary,
        "involuntary_switches": window.involuntary,
        "wakeups": machine.wakeups,
        "softirq_time": window.softirq_ns / 1e3,
        "net_softirqs": machine.net_softirqs,
        "energy": sum(machine.joules.values()) if machine.joules else None,
    }
    return {
        f"{name}_per_token": cost / window.tokens
        for name, cost in costs.items()
        if cost is not None
    }


def _word(text: str) -> str:
    """Of a file's name what may be part of a metric's."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text) or "model"
