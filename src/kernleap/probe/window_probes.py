"""Probes that are switched on for some of the windows of a measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from kernleap.model.cpu_samples import StackSamples, TracedUse
from kernleap.probe.bpf import Tracing
from kernleap.probe.perf import PerfRecording, perf_recording


class WindowProbe(Protocol):
    """Something that watches while it is on, and costs time while it does."""

    name: str

    def on(self, pids: Sequence[int]) -> None:
        """Watch from now on; `pids` are the server's processes.

        Raises:
            InfrastructureError: it cannot.
        """
        ...

    def off(self) -> None:
        """Watch no more. Raises as `on`."""
        ...


class PerfProbe:
    """`probe.perf`, one recording over all windows. Made by `perf_probe`."""

    name = "perf"

    def __init__(self, recording: PerfRecording) -> None:
        self._recording = recording

    def on(self, pids: Sequence[int]) -> None:  # noqa: ARG002 - perf was told at its start
        """Sample."""
        self._recording.on()

    def off(self) -> None:
        """Sample no more."""
        self._recording.off()

    def samples(self) -> StackSamples:
        """What was sampled, once the context has been left. Raises as `PerfRecording.samples`."""
        return self._recording.samples()


@contextmanager
def perf_probe(workdir: Path, pids: Sequence[int]) -> Iterator[PerfProbe]:
    """A perf that is off, for the time of the context. Raises as `perf_recording`."""
    with perf_recording(workdir, pids=pids) as recording:
        yield PerfProbe(recording)


class BpfProbe:
    """`probe.bpf`, a bpftrace for each window: while it is off it is not there."""

    name = "bpf"

    def __init__(self) -> None:
        self._tracing: Tracing | None = None
        self.traced: list[TracedUse] = []

    def on(self, pids: Sequence[int]) -> None:
        """Attach to the tracepoints."""
        self._tracing = Tracing(pids)

    def off(self) -> None:
        """Detach, and keep what was counted."""
        assert self._tracing is not None
        tracing, self._tracing = self._tracing, None
        self.traced.append(tracing.end())

    def close(self) -> None:
        """End one that is on, without a result."""
        if self._tracing is not None:
            self._tracing.kill()
            self._tracing = None


@contextmanager
def bpf_probe() -> Iterator[BpfProbe]:
    """A probe that leaves no bpftrace behind."""
    probe = BpfProbe()
    try:
        yield probe
    finally:
        probe.close()
