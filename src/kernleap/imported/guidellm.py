"""Files of guidellm (`benchmarks.json`), releases 0.2 to 0.8.

Read from real files of 0.3.1, 0.5.3 and 0.8.1, and from the schemas of the releases between them.
What changed: until 0.3 a file does not name its version, and its `time_per_output_token_ms` leaves
the first token out of the time but not out of the count, so that it is neither of our quantities
and is not read. From 0.5 on there is `metadata.guidellm_version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kernleap.imported.document import Node
from kernleap.imported.quantities import QUANTILES
from kernleap.imported.results import Load, Result, register
from kernleap.imported.settings import given, place, several, words

_MS_PER_S = 1000.0
_MOST_LOADS = 64
_LATENCIES = (
    ("time_to_first_token_ms", "ttft", 1.0),
    ("inter_token_latency_ms", "tpot", 1.0),
    ("time_per_output_token_ms", "token_time", 1.0),
    ("request_latency", "e2e", _MS_PER_S),
)
_BEFORE_04 = "0.2 to 0.3"
_WITHOUT_VERSION = "0.4"


@register
class GuideLlm:
    """guidellm."""

    name = "guidellm"
    looks_like = "the JSON that `guidellm` writes, with `benchmarks`"
    definitions: Mapping[str, str] = MappingProxyType(
        {
            "ttft": "time_to_first_token_ms; from when a worker sent the request",
            "tpot": "inter_token_latency_ms; a mean over each request, which weighs as many times "
            "as it has tokens after the first",
            "token_time": "time_per_output_token_ms, from 0.4 on; (last token - sent) / tokens",
            "e2e": "request_latency, in seconds in the file",
            "tokens_per_second": "output_tokens_per_second, mean over the time measured",
            "requests_per_second": "requests_per_second, mean over the time measured",
            "error_ratio": "request_totals: errored / (successful + errored); incomplete ones were "
            "cut off at the end and count nowhere",
            "requests": "request_totals.successful",
            "errors": "request_totals.errored",
            "prompt_tokens": "prompt_token_count, mean",
            "output_tokens": "output_token_count, mean",
        }
    )

    def recognises(self, document: Node) -> bool:
        """By `benchmarks`, an array whose elements have `metrics` with rates by status."""
        benchmarks = document.get("benchmarks")
        if benchmarks is None or not isinstance(benchmarks.value, list):
            return False
        first = next(benchmarks.items(), None)
        return first is None or first.get("metrics", "requests_per_second") is not None

    def read(self, document: Node) -> Result:
        """Read all benchmarks of the file: one, or those of a sweep."""
        version = _version(document)
        document.origin.writer = f"guidellm {version}"
        benchmarks = list(document["benchmarks"].items())
        if not 1 <= len(benchmarks) <= _MOST_LOADS:
            document["benchmarks"].refuse(
                f"{len(benchmarks)} benchmarks; 1 to {_MOST_LOADS} were expected",
                "a run that was stopped writes none: run it to its end",
            )
        first = benchmarks[0]
        started = first.get("run_stats", "start_time") or first["start_time"]
        seconds = started.number()
        return Result(
            tool=self.name, version=version, started=seconds, started_text=f"{seconds:.3f}",
            loads=tuple(_load(benchmark, version) for benchmark in benchmarks),
            settings=_of_file(document), path=document.origin.path,
            sha256=document.origin.sha256, size=document.origin.size,
        )  # fmt: skip


def _version(document: Node) -> str:
    told = document.get("metadata", "guidellm_version")
    if told is not None:
        return told.text()
    first = next(document["benchmarks"].items(), None)
    return _BEFORE_04 if first is None or "run_stats" in first else _WITHOUT_VERSION


def _load(benchmark: Node, version: str) -> Load:
    metrics = benchmark["metrics"]
    totals = benchmark.get("request_totals") or metrics.get("request_totals")
    if totals is None:
        metrics["request_totals"]  # says that it is missing
    assert totals is not None
    good, failed = totals["successful"].number(), totals["errored"].number()
    values = {"requests": good, "errors": failed}
    if good + failed:
        values["error_ratio"] = failed / (good + failed)
    warnings = tuple(w["message"].text() for w in several(benchmark.get("warnings")))
    if good:
        values |= _measured(metrics, version)
    else:
        warnings += ("no request ended well: there are no latencies",)
    return Load(values, _settings(benchmark), warnings)


def _measured(metrics: Node, version: str) -> dict[str, float]:
    values = {
        "tokens_per_second": metrics["output_tokens_per_second"]["successful"]["mean"].number(),
        "requests_per_second": metrics["requests_per_second"]["successful"]["mean"].number(),
    }
    for key, base, factor in _LATENCIES:
        if base == "token_time" and version == _BEFORE_04:
            continue
        found = metrics[key]["successful"]
        # Not streamed: there is no first token, and the distribution is empty or all zeros.
        if not found["count"].number() or not found["max"].number():
            continue
        for quantile in QUANTILES:
            value = found["percentiles"][f"p{quantile}"].number()
            values[f"{base}_p{quantile}"] = value * factor
    for name in ("prompt", "output"):
        counts = metrics.get(f"{name}_token_count", "successful")
        if counts is not None and counts["count"].number():
            values[f"{name}_tokens"] = counts["mean"].number()
    return values


def _settings(benchmark: Node) -> dict[str, str]:
    """What a benchmark was asked for: `config` from 0.4 on, `args` and `worker` before."""
    home = benchmark.get("config") or benchmark.get("args") or benchmark
    worker = benchmark.get("worker")
    return given(
        {
            "target": place(
                worker.get("backend_target") if worker else home.get("backend", "target")
            ),
            "model": words(worker.get("backend_model") if worker else home.get("backend", "model")),
            "request form": words(home.get("backend", "request_format")),
            "strategy": words(home.get("strategy", "type_")),
            "streams": words(home.get("strategy", "streams")),
            "rate": words(home.get("strategy", "rate")),
            "data": words(benchmark.get("request_loader", "data")),
        }
    )


def _of_file(document: Node) -> dict[str, str]:
    """What all benchmarks of a file were asked for: `args` from 0.4 on, `config` from 0.7 on."""
    home = document.get("config", "spec") or document.get("args")
    if home is None:
        return {}
    return given(
        {"data": words(home.get("data")), "tokenizer": words(home.get("tokenizer", "model"))}
    )
