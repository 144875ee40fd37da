"""The ranks of an all-reduce: run by a Python that has torch; needs nothing of kernleap.

    python ranks.py SPEC          starts one process a rank, waits, ends all if one fails
    python ranks.py SPEC RANK     one rank; writes DIRECTORY/rank-RANK.json

SPEC is JSON: backend (gloo, nccl), ranks, bytes, operations, warmup, directory, limit_s. Every rank
checks a sum before and after it measures. Exit: 0, 1 (a rank failed), 3 (there is no torch).
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

NO_TORCH = 3
_POLL_S = 0.02


def launch(text: str) -> int:
    """All ranks, each a process; none outlives one that failed."""
    if importlib.util.find_spec("torch") is None:
        return NO_TORCH
    spec = json.loads(text)
    # One thread computes, as one rank has one GPU; the loopback device, whatever else is there.
    env = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    ranks = [
        subprocess.Popen([sys.executable, __file__, text, str(rank)], env=env)
        for rank in range(spec["ranks"])
    ]
    try:
        while True:
            ended = [rank.poll() for rank in ranks]
            if any(ended):
                print(f"ranks ended with {ended}", file=sys.stderr)
                return 1
            if all(status == 0 for status in ended):
                return 0
            time.sleep(_POLL_S)
    finally:
        for rank in ranks:
            if rank.poll() is None:
                rank.kill()
            rank.wait()


def measure(spec: dict[str, Any], rank: int) -> dict[str, Any]:
    """One rank's share: joins the group, checks, warms up, measures each operation, checks."""
    import torch  # noqa: PLC0415 - the launcher needs none
    import torch.distributed as dist  # noqa: PLC0415

    torch.set_num_threads(1)
    on_gpu = spec["backend"] == "nccl"
    device = torch.device(f"cuda:{rank}" if on_gpu else "cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group(
        spec["backend"], init_method=f"file://{spec['directory']}/store", rank=rank,
        world_size=spec["ranks"], timeout=timedelta(seconds=spec["limit_s"]),
    )  # fmt: skip

    def reduce(tensor: Any) -> None:
        dist.all_reduce(tensor)
        if on_gpu:
            torch.cuda.synchronize(device)

    def check() -> None:
        tensor = torch.full((spec["bytes"] // 4,), rank + 1.0, device=device)
        reduce(tensor)
        expected = spec["ranks"] * (spec["ranks"] + 1) / 2
        if not bool((tensor == expected).all()):
            raise ValueError(f"the sum is wrong: {tensor[:4].tolist()}, not {expected}")

    check()
    # Zeros stay zeros however often they are summed; a sum costs the same whatever it is of.
    tensor = torch.zeros(spec["bytes"] // 4, device=device)
    for _ in range(spec["warmup"]):
        reduce(tensor)
    took = [0] * spec["operations"]
    clock = time.monotonic_ns
    dist.barrier()
    before, began = resource.getrusage(resource.RUSAGE_SELF), clock()
    for number in range(spec["operations"]):
        at = clock()
        reduce(tensor)
        took[number] = clock() - at
    ended, after = clock(), resource.getrusage(resource.RUSAGE_SELF)
    check()
    dist.destroy_process_group()
    return {
        "rank": rank,
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "began_ns": began,
        "ended_ns": ended,
        "took_ns": took,
        "user_ns": round((after.ru_utime - before.ru_utime) * 1e9),
        "kernel_ns": round((after.ru_stime - before.ru_stime) * 1e9),
        "voluntary": after.ru_nvcsw - before.ru_nvcsw,
        "involuntary": after.ru_nivcsw - before.ru_nivcsw,
    }


def main(argv: list[str]) -> int:
    """The launcher, or a rank."""
    if len(argv) == 1:
        return launch(argv[0])
    spec, rank = json.loads(argv[0]), int(argv[1])
    result = measure(spec, rank)
    # Whole or not at all: the reader must not meet half a file.
    path = Path(spec["directory"]) / f"rank-{rank}.json"
    path.with_suffix(".new").write_text(json.dumps(result))
    path.with_suffix(".new").rename(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
