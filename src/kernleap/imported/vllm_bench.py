"""Files of `vllm bench serve --save-result`, and of benchmark_serving.py before it.

Read from real files of 0.32.0 and from the source of earlier releases. A file never names the
version of vLLM. `failed` came with 0.11; before it, failures are `num_prompts - completed`. By
default only the 99th percentile is written (and the median), and no end-to-end latency:
`--percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,99` writes what is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from kernleap.imported.document import Node
from kernleap.imported.quantities import QUANTILES
from kernleap.imported.results import Load, Result, register
from kernleap.imported.settings import given, words

_LATENCIES = {"ttft": "ttft", "itl": "itl", "tpot": "tpot", "e2el": "e2e"}
_UNKNOWN = "unknown (its files do not say)"


@register
class VllmBench:
    """`vllm bench serve`."""

    name = "vllm-bench"
    looks_like = "the JSON of `vllm bench serve --save-result`"
    definitions: Mapping[str, str] = MappingProxyType(
        {
            "ttft": "ttft_ms; first chunk with text - request sent",
            "itl": "itl_ms; gaps between chunks of all requests",
            "tpot": "tpot_ms; (latency - TTFT) / (tokens - 1), tokens by usage or by its tokenizer",
            "e2e": "e2el_ms; last chunk - request sent",
            "tokens_per_second": "output_throughput; output tokens / duration, ramps included",
            "requests_per_second": "request_throughput; completed requests / duration",
            "goodput": "request_goodput; requests that met --goodput / duration",
            "error_ratio": "failed / (completed + failed)",
            "requests": "completed",
            "errors": "failed, or num_prompts - completed",
            "prompt_tokens": "total_input_tokens / completed",
            "output_tokens": "total_output_tokens / completed",
        }
    )

    def recognises(self, document: Node) -> bool:
        """By keys that only it has side by side."""
        return all(key in document for key in ("model_id", "num_prompts", "completed"))

    def read(self, document: Node) -> Result:
        """Read the one load of the file."""
        document.origin.writer = f"vllm bench serve, version {_UNKNOWN}"
        date = document["date"]
        try:
            moment = datetime.strptime(date.text(), "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            date.refuse("a time like 20260102-030405 was expected")
        return Result(
            tool=self.name, version=_UNKNOWN, started=moment.timestamp(), started_text=date.text(),
            loads=(_load(document),), path=document.origin.path, sha256=document.origin.sha256,
            size=document.origin.size,
        )  # fmt: skip


def _load(document: Node) -> Load:
    good = document["completed"].number()
    if "failed" in document:
        failed = document["failed"].number()
    else:
        failed = document["num_prompts"].number(low=good) - good
    values = {"requests": good, "errors": failed}
    if good + failed:
        values["error_ratio"] = failed / (good + failed)
    settings = given(
        {
            "model": words(document["model_id"]),
            "tokenizer": words(document.get("tokenizer_id")),
            "request form": words(document.get("backend") or document.get("endpoint_type")),
            "requests": words(document["num_prompts"]),
            "rate": words(document.get("request_rate")),
            "burstiness": words(document.get("burstiness")),
            "streams": words(document.get("max_concurrency")),
            "ramp-up": words(document.get("ramp_up_strategy")),
        }
    )
    if not good:
        return Load(values, settings, ("no request ended well: there are no latencies",))
    values["tokens_per_second"] = document["output_throughput"].number()
    values["requests_per_second"] = document["request_throughput"].number()
    values["prompt_tokens"] = document["total_input_tokens"].number() / good
    values["output_tokens"] = document["total_output_tokens"].number() / good
    # 0 without --goodput, and also where no request was good: told apart by nothing in the file.
    goodput = document.get("request_goodput")
    if goodput is not None and goodput.number():
        values["goodput"] = goodput.number()
    for key, base in _LATENCIES.items():
        values |= _quantiles(document, key, base)
    return Load(values, settings)


def _quantiles(document: Node, key: str, base: str) -> dict[str, float]:
    median = document.get(f"median_{key}_ms")
    # Without streaming vLLM writes zeros, which are no latencies.
    if median is None or not document[f"mean_{key}_ms"].number():
        return {}
    found = {f"{base}_p50": median.number()}
    for quantile in QUANTILES:
        value = document.get(f"p{quantile}_{key}_ms")
        if value is not None:
            found[f"{base}_p{quantile}"] = value.number()
    return found
