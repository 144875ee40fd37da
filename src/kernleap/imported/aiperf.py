"""Files of aiperf (`profile_export_aiperf.json`), releases 0.2 to 0.13.

Read from real files of 0.2.0 and 0.13.0. What changed: files of early releases do not name their
version, and their `input_config` has the sections `endpoint`, `loadgen` and `input`, where late
ones have `models`, `endpoint`, `phases` and `datasets`. Every metric carries its unit, which is
checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from kernleap.imported.document import Node
from kernleap.imported.quantities import QUANTILES
from kernleap.imported.results import Load, Result, register
from kernleap.imported.settings import given, place, several, words

_LATENCIES = {
    "time_to_first_token": "ttft",
    "inter_chunk_latency": "itl",
    "inter_token_latency": "tpot",
    "request_latency": "e2e",
}
_MS = {"ms": 1.0, "us": 1e-3, "ns": 1e-6, "sec": 1e3, "s": 1e3}
_AVERAGES = {
    "output_token_throughput": ("tokens_per_second", "tokens/sec"),
    "request_throughput": ("requests_per_second", "requests/sec"),
    "goodput": ("goodput", "requests/sec"),
    "input_sequence_length": ("prompt_tokens", "tokens"),
    "output_sequence_length": ("output_tokens", "tokens"),
}


@register
class AiPerf:
    """aiperf."""

    name = "aiperf"
    looks_like = "profile_export_aiperf.json of `aiperf profile`"
    definitions: Mapping[str, str] = MappingProxyType(
        {
            "ttft": "time_to_first_token; first response - request sent",
            "itl": "inter_chunk_latency; gaps between responses of all requests",
            "tpot": "inter_token_latency; (request latency - TTFT) / (tokens - 1)",
            "e2e": "request_latency; last response - request sent",
            "tokens_per_second": "output_token_throughput; output tokens / benchmark duration",
            "requests_per_second": "request_throughput; valid requests / benchmark duration",
            "goodput": "goodput; good requests / benchmark duration",
            "error_ratio": "error_request_count / (request_count + error_request_count)",
            "requests": "request_count; valid requests",
            "errors": "error_request_count, or the counts in error_summary",
            "prompt_tokens": "input_sequence_length, average",
            "output_tokens": "output_sequence_length, average",
        }
    )

    def recognises(self, document: Node) -> bool:
        """By its version, or by metrics with a unit beside `input_config`."""
        return "aiperf_version" in document or (
            "input_config" in document and document.get("request_latency", "unit") is not None
        )

    def read(self, document: Node) -> Result:
        """Read the one load of the file."""
        told = document.get("aiperf_version")
        version = told.text() if told is not None else "unknown (its file does not say)"
        document.origin.writer = f"aiperf {version}"
        values, warnings = _values(document)
        started = document.get("start_time")
        text = started.text() if started is not None else ""
        return Result(
            tool=self.name, version=version, started=_seconds(started), started_text=text,
            loads=(Load(values, _settings(document), warnings),), path=document.origin.path,
            sha256=document.origin.sha256, size=document.origin.size,
        )  # fmt: skip


def _values(document: Node) -> tuple[dict[str, float], tuple[str, ...]]:
    good = _average(document, "request_count", "requests") or 0.0
    failed = _average(document, "error_request_count", "requests")
    if failed is None:
        summary = several(document.get("error_summary"))
        failed = float(sum(entry["count"].number() for entry in summary))
    values = {"requests": good, "errors": failed}
    if good + failed:
        values["error_ratio"] = failed / (good + failed)
    warnings: tuple[str, ...] = ()
    cancelled = document.get("was_cancelled")
    if cancelled is not None and cancelled.value is True:
        warnings += ("the benchmark was cancelled before its end",)
    if not good:
        return values, (*warnings, "no request ended well: there are no latencies")
    for key in ("request_latency", "request_throughput"):
        document[key]  # both are in every file of a benchmark that had a valid request
    for key, (name, unit) in _AVERAGES.items():
        value = _average(document, key, unit)
        if value is not None:
            values[name] = value
    for key, base in _LATENCIES.items():
        if key in document:
            values |= _quantiles(document[key], base)
    return values, warnings


def _average(document: Node, key: str, unit: str) -> float | None:
    if key not in document:
        return None
    found = document[key]["unit"].text()
    if found != unit:
        document[key]["unit"].refuse(f"the unit {unit!r} was expected, not {found!r}")
    return document[key]["avg"].number()


def _quantiles(metric: Node, base: str) -> dict[str, float]:
    unit = metric["unit"].text()
    if unit not in _MS:
        metric["unit"].refuse(f"{unit!r} is no unit of time known: {', '.join(_MS)}")
    return {
        f"{base}_p{quantile}": metric[f"p{quantile}"].number() * _MS[unit] for quantile in QUANTILES
    }


def _seconds(started: Node | None) -> float | None:
    if started is None:
        return None
    try:
        moment = datetime.fromisoformat(started.text())
    except ValueError:
        started.refuse("an ISO 8601 time was expected")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _settings(document: Node) -> dict[str, str]:
    config = document.get("input_config")
    if config is None:
        return {}
    phase = next(several(config.get("phases")), None)
    urls = config.get("endpoint", "urls")
    return given(
        {
            "target": place(next(several(urls), None) or config.get("endpoint", "url")),
            "model": words(config.get("models", "items") or config.get("endpoint", "model_names")),
            "request form": words(config.get("endpoint", "type")),
            "streaming": words(config.get("endpoint", "streaming")),
            "load": words(phase or config.get("loadgen")),
            "data": words(config.get("datasets") or config.get("input")),
            "tokenizer": words(config.get("tokenizer", "name")),
        }
    )
