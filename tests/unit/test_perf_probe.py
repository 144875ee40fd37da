"""perf and bpftrace for real, where they are allowed: a program that is known to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap.judge.kernel_context import context_of
from kernleap.model.errors import InfrastructureError
from kernleap.probe import perf
from kernleap.probe.bpf import Tracing, bpf_problem
from kernleap.probe.perf import perf_problem, perf_recording

READS = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1M", "count=100000000"]
needs_perf = pytest.mark.skipif(perf_problem() is not None, reason=str(perf_problem()))
needs_bpf = pytest.mark.skipif(bpf_problem() is not None, reason=str(bpf_problem()))


@pytest.fixture
def reader():
    process = subprocess.Popen(READS, stderr=subprocess.DEVNULL)
    yield process.pid
    process.kill()
    process.wait()


@needs_perf
def test_samples_are_of_the_time_it_was_on(reader, tmp_path):
    with perf_recording(tmp_path, pids=[reader]) as recording:
        time.sleep(0.1)
        spans = []
        for _ in range(2):
            began = time.monotonic_ns()
            recording.on()
            # So much CPU time of the reader, however busy the machine.
            until = cpu_s(reader) + 0.1
            while cpu_s(reader) < until:
                time.sleep(0.02)
            recording.off()
            spans.append((began, time.monotonic_ns()))
    found = recording.samples()
    assert found.unread == 0
    assert all(any(a <= s.at_ns <= b for a, b in spans) for s in found.samples)
    mine = [s for s in found.samples if s.pid == reader and s.frames]
    assert mine
    reads = [s for s in mine if context_of(s.frames) == "call read"]
    assert len(reads) > len(mine) / 2
    assert no_child("perf")


def cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def no_child(name: str) -> bool:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return all(name not in Path(f"/proc/{c}/comm").read_text() for c in children)


@needs_perf
def test_perf_ends_with_whoever_started_it(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from kernleap.probe.perf import *\n"
        "with perf_recording(Path(sys.argv[1])) as r: print(r._process.pid, flush=True); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        if "\nState:\tZ" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


@needs_perf
def test_a_perf_that_dies_is_an_error_and_no_hang(tmp_path):
    with pytest.raises(InfrastructureError, match="perf"), perf_recording(tmp_path) as recording:
        recording.on()
        os.killpg(recording._process.pid, signal.SIGKILL)
        recording._process.wait()
        recording.off()


def test_who_may_not_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(perf, "_may_see_all", lambda: False)
    monkeypatch.setattr(perf, "_level", lambda: 2)
    monkeypatch.setattr(perf.shutil, "which", lambda _name: "/usr/bin/perf")
    with pytest.raises(InfrastructureError) as caught, perf_recording(tmp_path):
        pass
    assert "perf_event_paranoid is 2" in str(caught.value)
    monkeypatch.setattr(perf.shutil, "which", lambda _name: None)
    assert "linux-perf" in (perf_problem() or "")


@needs_bpf
def test_calls_are_counted_exactly():
    script = "import os, time\ntime.sleep(1000) if os.read(0, 1) != b'g' else None\n"
    script += "r = os.open('/dev/zero', 0)\n[os.read(r, 1) for _ in range(1234)]\nos.read(0, 1)"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        while "pipe_read" not in Path(f"/proc/{process.pid}/wchan").read_text():
            time.sleep(0.02)
        tracing = Tracing([process.pid])
        began = cpu_s(process.pid)
        process.stdin.write(b"g")
        process.stdin.flush()
        while "pipe_read" not in Path(f"/proc/{process.pid}/wchan").read_text() or (
            cpu_s(process.pid) == began
        ):
            time.sleep(0.02)
        used = cpu_s(process.pid) - began
        found = tracing.end()
    finally:
        process.kill()
        process.wait()
    calls = {call.name: call for call in found.calls}
    # The first read of the pipe began before, the last has not ended.
    assert calls["read"].calls == 1234
    assert 0 < calls["read"].cpu_ns <= used * 1e9
    assert found.waits >= 1
