"""What imported files are read for, in kernleap's own names, units and definitions.

A quantity has one meaning, that of the load driver (docs/metrics.md) but for one thing: all tools
here count from when a request was sent, not from when it was due. A tool's figure is filed under
the quantity that it *is*, whatever the tool calls it: the `inter_token_latency` of guidellm and of
aiperf is a mean over each request, which is kernleap's TPOT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kernleap.imported.results import Format
from kernleap.model.metric import Better, Metric, timed_metric

QUANTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Quantity:
    """The last part of a metric's name. `base` is the name without its quantile."""

    name: str
    base: str
    unit: str
    better: Better
    meaning: str


_LATENCIES = {
    "ttft": "time to first token: first token - request sent",
    "itl": "inter-token latency: each chunk with text - the one before it, over all requests",
    "tpot": "time per output token after the first, one value a request: (last token - first "
    "token) / (tokens - 1)",
    "token_time": "time per output token with the first, one value a request: (last token - "
    "request sent) / tokens",
    "e2e": "end to end: response complete - request sent",
}
_OTHERS = (
    ("tokens_per_second", "tokens/s", Better.HIGHER, "output tokens of all streams per second"),
    ("requests_per_second", "requests/s", Better.HIGHER, "requests that ended well per second"),
    ("goodput", "requests/s", Better.HIGHER, "requests per second that met the SLO of the tool"),
    ("error_ratio", "ratio", Better.LOWER, "requests that failed / requests that ended"),
    ("requests", "requests", Better.NEITHER, "requests that ended well"),
    ("errors", "requests", Better.NEITHER, "requests that failed"),
    ("prompt_tokens", "tokens/request", Better.NEITHER, "mean length of the prompts"),
    ("output_tokens", "tokens/request", Better.NEITHER, "mean length of the answers"),
)


def _quantities() -> Iterator[Quantity]:
    for base, meaning in _LATENCIES.items():
        for quantile in QUANTILES:
            yield Quantity(
                f"{base}_p{quantile}", base, "ms", Better.LOWER,
                f"{quantile} % quantile of {meaning}",
            )  # fmt: skip
    for name, unit, better, meaning in _OTHERS:
        yield Quantity(name, name, unit, better, meaning)


QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _quantities()}


def metrics(form: Format, region: str, present: Collection[str]) -> tuple[Metric, ...]:
    """The metrics of `region` (`serving/FORM`) for the quantities that are `present`."""
    return tuple(
        timed_metric(
            f"{region}/{quantity.name}",
            quantity.unit,
            quantity.better,
            f"{quantity.meaning}. {form.name}: {form.definitions[quantity.base]}.",
        )
        for quantity in QUANTITIES.values()
        if quantity.name in present
    )
