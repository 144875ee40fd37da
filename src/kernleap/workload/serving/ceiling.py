"""What the load driver can do here at most: its load on a server that does nothing but stream."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernleap.guest.build import build_null_server, host_arch
from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving import driver
from kernleap.workload.serving.load import Closed, Fixed, Form, LoadSpec
from kernleap.workload.serving.result import CPU_BOUND

TOKENS = 256


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the driver got out of a null server on the same cores.

    Attributes:
        streams: requests in flight.
        merged: tokens that the server wrote at a time.
        tokens_per_second: of both together: where tokens are flushed one by one, the server and
            the kernel are the limit.
        cpu_us_per_event: CPU time of the driver alone.
        cpu_ratio: share of one CPU that it used.
        schedule_delay_p99_ms: how late it sent requests.
    """

    streams: int
    merged: int
    tokens_per_second: float
    cpu_us_per_event: float
    cpu_ratio: float
    schedule_delay_p99_ms: float

    @property
    def driver_tokens_per_second(self) -> float:
        """Tokens/s at which a run is said to be limited by its driver: a busy core's worth."""
        return CPU_BOUND * 1e6 / self.cpu_us_per_event


@contextmanager
def null_server(*, threads: int = 0, merge: int = 1, interval_ns: int = 0) -> Iterator[int]:
    """A null server for the time of the context; its port.

    Args:
        threads: that serve; 0: as many as there are CPUs for this process.
        merge: tokens in one write.
        interval_ns: each stream gets a write so often; 0: whenever there is room.

    Raises:
        InfrastructureError: it cannot be built, or does not start.
    """
    argv = [
        str(build_null_server(host_arch())), "die_with_parent=1", f"merge={merge}",
        f"threads={threads or len(os.sched_getaffinity(0))}", f"interval_ns={interval_ns}",
    ]  # fmt: skip
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.strip().isdigit():
                raise InfrastructureError("the null server did not start", where=argv[0])
            yield int(line)
        finally:
            process.kill()


def ceiling(*, streams: int = 8, duration_s: float = 2.0, merge: int = 1) -> Ceiling:
    """The most this driver can do here: `streams` against a null server on the same machine.

    Raises as `driver.run` does.
    """
    spec = LoadSpec(
        Closed(streams), prompt=Fixed(8), output=Fixed(TOKENS), duration_s=duration_s,
        warmup_s=min(0.5, duration_s / 4), form=Form.CHAT,
    )  # fmt: skip
    with (
        null_server(merge=merge) as port,
        tempfile.TemporaryDirectory(prefix="kernleap-load-") as scratch,
    ):
        result = driver.run(spec, driver.Target(port), Path(scratch), keep_requests=False)
    if result.cpu_us_per_event is None or result.cpu_ratio is None:
        raise InfrastructureError("the null server gave no tokens", cause=str(result.measured))
    delay = result.histograms["schedule_delay"].quantile(0.99)
    return Ceiling(
        streams=streams,
        merged=merge,
        tokens_per_second=result.tokens_in_window / result.window_s,
        cpu_us_per_event=result.cpu_us_per_event,
        cpu_ratio=result.cpu_ratio,
        schedule_delay_p99_ms=delay.value / 1e6 if delay else 0.0,
    )
