"""Real files of other load generators, and copies with something changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "unit/data/imported"
GUIDELLM = [FILES / f"guidellm-0.8.1-{n}.json" for n in (1, 2, 3)]
SINGLE = (
    "guidellm-0.3.1.json", "guidellm-0.8.1-1.json", "aiperf-0.2.0.json", "aiperf-0.13.0.json",
    "vllm-bench-0.32.0.json",
)  # fmt: skip
ALL = (*SINGLE, "guidellm-0.5.3-two-rates.json")


def document(name: str) -> Any:
    return json.loads((FILES / name).read_text())


def at(value: Any, *keys: str | int) -> Any:
    for key in keys:
        value = value[key]
    return value


def changed(directory: Path, source: str, name: str, change: Callable[[Any], None]) -> Path:
    """A copy of a real file under another name, changed by `change`."""
    data = copy.deepcopy(document(source))
    change(data)
    path = directory / name
    path.write_text(json.dumps(data))
    return path


def slower(factor: float, seconds: float) -> Callable[[Any], None]:
    """A file of guidellm 0.8.1 whose latencies are multiplied, begun so much later."""

    def change(data: Any) -> None:
        (benchmark,) = data["benchmarks"]
        benchmark["start_time"] += seconds
        metrics = benchmark["metrics"]
        for key in ("time_to_first_token_ms", "inter_token_latency_ms", "request_latency",
                    "time_per_output_token_ms"):  # fmt: skip
            for q in metrics[key]["successful"]["percentiles"]:
                metrics[key]["successful"]["percentiles"][q] *= factor
        for key in ("output_tokens_per_second", "requests_per_second"):
            metrics[key]["successful"]["mean"] /= factor

    return change
