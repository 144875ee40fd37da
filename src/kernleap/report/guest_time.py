"""Times of an emulated machine's own clock: shown, since users ask, and never as speed."""

from __future__ import annotations

from collections.abc import Iterable

from kernleap.model.metric import Grade, Metric
from kernleap.report.parts import MetricView

TITLE = "Seen by the client, in guest time"
CAUTION = "guest time, in which every instruction takes a nanosecond: not evidence of speed"


def caution(metric: Metric) -> str:
    """What a reader has to be told of a metric before its figures; mostly nothing."""
    in_guest_time = metric.grade is Grade.COUNTED and "guest" in metric.unit.replace("/", " ")
    return CAUTION if in_guest_time else ""


def guest_times(metrics: Iterable[MetricView]) -> tuple[MetricView, ...]:
    """Those that come with that caution, in their order."""
    return tuple(metric for metric in metrics if metric.caution == CAUTION)
