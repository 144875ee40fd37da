"""What the client of a streaming server sees: the metrics, and their values of one load.

Latencies count from the *scheduled* time of a request, so that a server that stalls is charged
for every request it kept waiting, sent or not. They are timed evidence; measured in a guest they
are guest time and say nothing of speed, which `client_metrics` marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kernleap.model.errors import InfrastructureError
from kernleap.model.metric import Better, Metric, timed_metric
from kernleap.workload.serving.records import ABSENT, KINDS, Flag, read_requests
from kernleap.workload.serving.result import LoadResult

LATENCY_QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class ClientQuantity:
    """The last part of a metric's name, and where its value comes from."""

    name: str
    unit: str
    better: Better
    formula: str
    source: str


_LATENCIES = (
    ("ttft", "time to first token: first event with text - scheduled", "requests that ended well"),
    ("itl", "inter-token latency: event with text - the one before it", "all measured requests"),
    (
        "tpot",
        "time per output token after the first: (last token - first token) / (tokens - 1); tokens "
        "by usage, else events",
        "requests that ended well and have 2 tokens or more",
    ),
    ("e2e", "end to end: response complete - scheduled", "requests that ended well"),
    ("schedule_delay", "how late the driver began: started - scheduled", "all measured requests"),
)


def _quantities() -> Iterator[ClientQuantity]:
    for name, formula, source in _LATENCIES:
        better = Better.NEITHER if name == "schedule_delay" else Better.LOWER
        for q in LATENCY_QUANTILES:
            yield ClientQuantity(
                f"{name}_p{q * 100:g}", "ms", better, f"{q * 100:g} % quantile of {formula}",
                f"driver's histogram (within 0.4 %), {source}",
            )  # fmt: skip
    records = "driver's records of requests"
    yield ClientQuantity(
        "tokens_per_second", "tokens/s", Better.HIGHER,
        "sum over requests of tokens * (events in the window / events), / window; tokens by usage, "
        "else events", records,
    )  # fmt: skip
    yield ClientQuantity(
        "requests_per_second", "requests/s", Better.HIGHER,
        "measured requests that ended well in the window / window", "driver's summary",
    )  # fmt: skip
    yield ClientQuantity(
        "goodput", "requests/s", Better.HIGHER,
        "measured requests that ended well in the window and met every bound of the SLO / window",
        records,
    )  # fmt: skip
    yield ClientQuantity(
        "error_ratio", "ratio", Better.LOWER,
        "measured requests that did not end well / measured requests", "driver's summary",
    )  # fmt: skip
    for kind in KINDS[1:]:
        yield ClientQuantity(
            f"errors_{kind}", "requests", Better.NEITHER, f"measured requests that ended as {kind}",
            "driver's summary",
        )  # fmt: skip
    yield ClientQuantity(
        "retries", "requests", Better.NEITHER,
        "requests sent again because their kept connection was stale", "driver's summary",
    )  # fmt: skip
    yield ClientQuantity(
        "driver_cpu_per_event", "us/event", Better.NEITHER,
        "CPU time of the driver in the window / token events in the window", "getrusage",
    )  # fmt: skip


QUANTITIES: tuple[ClientQuantity, ...] = tuple(_quantities())


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds of a good request, in milliseconds; None: no bound."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None


def client_metrics(region: str, *, guest_time: bool) -> tuple[Metric, ...]:
    """The metrics of `region` (`workload/form`).

    Args:
        region: what their names begin with.
        guest_time: measured under emulation: behaviour, never evidence of speed.
    """
    note = " In guest time: not evidence of speed." if guest_time else ""
    return tuple(
        timed_metric(
            f"{region}/{quantity.name}",
            quantity.unit,
            Better.NEITHER if guest_time else quantity.better,
            f"{quantity.formula}.{note}",
        )
        for quantity in QUANTITIES
    )


def client_values(result: LoadResult, slo: Slo | None = None) -> dict[str, float]:
    """The value of each quantity that this load has one of, by its name.

    A load that has no request of a kind needed (none ended well, say) has no such value; it has
    an error ratio.

    Raises:
        InfrastructureError: the records of requests were not kept, or are broken.
    """
    values: dict[str, float] = {}
    for name, _, _ in _LATENCIES:
        for q in LATENCY_QUANTILES:
            quantile = result.histograms[name].quantile(q)
            if quantile is not None:
                values[f"{name}_p{q * 100:g}"] = quantile.value / 1e6
    requests = sum(result.measured.values())
    if requests:
        values["error_ratio"] = 1 - result.measured.get("ok", 0) / requests
    values |= {f"errors_{kind}": float(result.measured.get(kind, 0)) for kind in KINDS[1:]}
    values["retries"] = float(result.retried)
    if result.cpu_us_per_event is not None:
        values["driver_cpu_per_event"] = result.cpu_us_per_event
    if result.window_s > 0:
        values["requests_per_second"] = result.ended_in_window / result.window_s
        values |= _rates(result, slo or Slo())
    return values


def _rates(result: LoadResult, slo: Slo) -> dict[str, float]:
    if result.requests_file is None:
        raise InfrastructureError("the records of this load's requests were not kept")
    rows = read_requests(result.requests_file).rows
    if rows.size != result.records:
        raise InfrastructureError(
            "the records and the summary of the load driver are of different loads",
            where=str(result.requests_file),
            cause=f"{rows.size} records, {result.records} requests",
        )
    events = rows["events"].astype(float)
    tokens = np.where(rows["usage_completion"] == ABSENT, events, rows["usage_completion"])
    share = np.divide(rows["events_in_window"], events, out=np.zeros_like(events), where=events > 0)
    measured = (rows["flags"] & Flag.WARMUP) == 0
    good = measured & (rows["kind"] == 0) & (rows["end"] < result.window[1])
    first, last = rows["first_token"].astype(float), rows["last_token"].astype(float)
    scheduled, end = rows["scheduled"].astype(float), rows["end"].astype(float)
    for bound, took in (
        (slo.ttft_ms, first - scheduled),
        (slo.e2e_ms, end - scheduled),
        (slo.tpot_ms, (last - first) / np.maximum(tokens - 1, 1)),
    ):
        if bound is not None:
            good &= took <= bound * 1e6
    return {
        "tokens_per_second": float((tokens * share).sum()) / result.window_s,
        "goodput": float(good.sum()) / result.window_s,
    }
