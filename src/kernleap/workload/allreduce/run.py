"""One all-reduce measured: fresh processes, their results, and no process left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.workload.allreduce import ranks
from kernleap.workload.allreduce.region import GLOO, AllreduceRegion
from kernleap.workload.serving.engines.process import ServerProcess

PYTHON = "KERNLEAP_TORCH_PYTHON"
"""Environment variable that names a Python with torch; without it the one that runs kernleap."""
LIMIT_S = 120.0
_POLL_S = 0.02
_FIND_LIMIT_S = 60.0
_MOST_BYTES = 64 << 20
_GRACE_S = 1.0
_GLOO_NOTE = "gloo over loopback between processes of this machine; no GPU took part"


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """What one trial gave: values by quantity (arrays hold one value an operation), and facts."""

    values: dict[str, NDArray[np.float64]]
    facts: dict[str, Any]
    log: str


def python_with_torch() -> str:
    """The Python to run the ranks with.

    Raises:
        UsageError: it has no torch; the error has the command that installs it.
    """
    python = os.environ.get(PYTHON) or sys.executable
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    try:
        found = subprocess.run(
            [python, "-c", look], check=False, capture_output=True, timeout=_FIND_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{python} cannot be run", where=PYTHON, cause=str(error)) from error
    if found.returncode:
        raise UsageError(
            "all-reduce needs torch, which this Python does not have",
            where=python,
            next_step=f"{python} -m pip install 'torch>=2.6'; or have {PYTHON} name a Python that "
            "has it (that of vLLM, say)",
        )
    return python


def reduce(
    region: AllreduceRegion,
    workdir: Path,
    *,
    limit_s: float = LIMIT_S,
    while_waiting: Callable[[], None] = lambda: None,
) -> Reduced:
    """Run a region once: processes of its own, gone afterwards whatever happens.

    Args:
        region: what to run.
        workdir: an empty directory of its own.
        limit_s: how long it may take.
        while_waiting: called again and again; what it raises ends the ranks and passes through.

    Raises:
        UsageError: there is no torch.
        InfrastructureError: a rank died, hung, or summed wrongly; with the end of their log.
    """
    python = python_with_torch()
    workdir.mkdir(parents=True, exist_ok=True)
    spec = {
        "backend": region.backend, "ranks": region.ranks, "bytes": region.size_bytes,
        "operations": region.operations, "warmup": region.warmup, "limit_s": limit_s,
        "directory": str(workdir.absolute()),
    }  # fmt: skip
    process = ServerProcess(
        [python, ranks.__file__, json.dumps(spec)], workdir / "ranks.log",
        name="all-reduce", grace_s=_GRACE_S,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + limit_s
        while process.is_running():
            while_waiting()
            if time.monotonic() > deadline:
                raise _lost(process, f"did not end within {limit_s:g} s")
            time.sleep(_POLL_S)
        if process.exit_status:
            raise _lost(process, f"ended with status {process.exit_status}")
    results = [_read(workdir / f"rank-{n}.json", region) for n in range(region.ranks)]
    return Reduced(_values(region, results), _facts(region, results), process.log_tail())


def _lost(process: ServerProcess, what: str) -> InfrastructureError:
    return InfrastructureError(
        f"the ranks of the all-reduce: {what}",
        where=str(process.log),
        cause=f"their last words:\n{process.last_lines()}",
        next_step="fewer ranks or bytes, or another backend",
    )


_COUNTS = ("began_ns", "ended_ns", "user_ns", "kernel_ns", "voluntary", "involuntary")


def _read(path: Path, region: AllreduceRegion) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = json.loads(file.read(_MOST_BYTES))
        _check(raw, region)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InfrastructureError(
            "a rank left no readable result", where=str(path), cause=str(error)[:200]
        ) from error
    assert isinstance(raw, dict)
    return raw


def _check(raw: dict[str, Any], region: AllreduceRegion) -> None:
    counts = [*(raw[name] for name in _COUNTS), *raw["took_ns"]]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        raise ValueError("a count that is none")
    if len(raw["took_ns"]) != region.operations or raw["ended_ns"] <= raw["began_ns"]:
        raise ValueError("it is of another load")


def _values(
    region: AllreduceRegion, results: list[dict[str, Any]]
) -> dict[str, NDArray[np.float64]]:
    latency = np.max([result["took_ns"] for result in results], axis=0) / 1e3
    began = min(result["began_ns"] for result in results)
    elapsed_s = (max(result["ended_ns"] for result in results) - began) / 1e9
    bandwidth = region.size_bytes * region.operations / elapsed_s / 1e6

    def each(*names: str) -> float:
        return float(sum(r[name] for name in names for r in results)) / region.operations

    single = {
        "latency_p90": float(np.quantile(latency, 0.9)),
        "latency_p99": float(np.quantile(latency, 0.99)),
        "algorithm_bandwidth": bandwidth,
        "bus_bandwidth": bandwidth * 2 * (region.ranks - 1) / region.ranks,
        "kernel_time_per_operation": each("kernel_ns") / 1e3,
        "user_time_per_operation": each("user_ns") / 1e3,
        "cpu_time_per_operation": each("kernel_ns", "user_ns") / 1e3,
        "voluntary_switches_per_operation": each("voluntary"),
        "involuntary_switches_per_operation": each("involuntary"),
    }
    return {"latency": latency, **{name: np.array([value]) for name, value in single.items()}}


def _facts(region: AllreduceRegion, results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "torch": sorted({str(result.get("torch", ""))[:80] for result in results}),
        "devices": sorted({str(result.get("device", ""))[:80] for result in results}),
        "backend": region.backend,
        "note": _GLOO_NOTE if region.backend == GLOO else "NCCL, a GPU a rank",
    }
