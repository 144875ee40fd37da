"""The account of process trees, against processes that burn what is known."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving.proc import TICK_NS, descendants, descendants_by_parent
from kernleap.workload.serving.process_tree import TreeAccount, TreeUse, difference

BURN = """
import os, resource, signal, subprocess, sys, threading, time
def burn(seconds):
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(1000))
def used():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + round((children.ru_utime + children.ru_stime) * 1e9)
sys.stdin.readline()
began = used()
"""
TOLD = "\nprint(used() - began, flush=True)\nsys.stdin.readline()"
CHILD = "import time\nwhile time.process_time() < {0}: sum(range(1000))\n"
LIVING = CHILD.format(0.15) + "print(1, flush=True)\ntime.sleep(60)"
READING_NS = 3_000_000
"""What the two ends of a measurement may differ by: waking up, and saying so."""


@contextmanager
def running(code: str):
    """A process that runs `code` after a line on its standard input, and tells what it used."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", BURN + code + TOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        for pid in reversed(descendants(process.pid)[1:]):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def settled(process: subprocess.Popen) -> None:
    """Wait until it waits for its first line."""
    while "pipe_read" not in Path(f"/proc/{process.pid}/wchan").read_text():
        if Path(f"/proc/{process.pid}/syscall").read_text().startswith("0 0x0 "):
            return
        time.sleep(0.01)


def go(process: subprocess.Popen) -> int:
    """Let it run; what it says it used, in ns, its awaited children included."""
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def use_of(code: str, watch_s: float | None = None) -> tuple[TreeUse, int]:
    """What the account says that `code` used, and what the process itself says."""
    with running(code) as process:
        settled(process)
        account = TreeAccount(process.pid)
        before = account.sample()
        with account.watch(watch_s) if watch_s else nullcontext():
            told = go(process)
        return difference(before, account.sample()), told


def test_one_thread():
    use, told = use_of("burn(0.2)")
    assert told > 0.2e9
    assert 0 <= use.cpu_ns - told < READING_NS
    assert use.cpu_error_ns == 0
    assert abs(use.user_ns + use.kernel_ns - use.cpu_ns) <= 3 * TICK_NS
    assert use.ended_threads == use.ended_processes == 0


def test_threads_that_end_in_between_are_not_lost():
    use, told = use_of(
        "for _ in range(5):\n    t = threading.Thread(target=burn, args=(0.04,))\n"
        "    t.start()\n    t.join()"
    )
    assert told > 0.2e9
    assert 0 <= use.cpu_ns - told < READING_NS


def test_children_that_end_in_between_are_not_lost():
    child = CHILD.format(0.1)
    use, told = use_of(
        f"for _ in range(3): subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    )
    assert told > 0.3e9
    assert use.cpu_error_ns == 2 * TICK_NS
    assert abs(use.cpu_ns - told) < use.cpu_error_ns + READING_NS


def test_children_that_nobody_waits_for_are_kept_as_last_seen():
    use, _ = use_of(
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"p = subprocess.Popen([sys.executable, '-S', '-c', {CHILD.format(0.3)!r}])\n"
        "while os.path.exists(f'/proc/{p.pid}'): time.sleep(0.01)",
        watch_s=0.02,
    )
    assert 0.2e9 < use.cpu_ns < 0.4e9
    assert use.ended_processes == 1


LIVE_CHILD = (
    f"p = subprocess.Popen([sys.executable, '-S', '-c', {LIVING!r}], stdout=subprocess.PIPE)\n"
    "p.stdout.readline()\n"
)


def test_live_children_and_their_threads_by_name():
    with running(LIVE_CHILD) as process:
        settled(process)
        account = TreeAccount(process.pid)
        before = account.sample()
        told = go(process)
        after = account.sample()
        assert sorted(descendants_by_parent(process.pid)) == sorted(descendants(process.pid))
    use = difference(before, after)
    assert 0.15e9 <= use.cpu_ns - told < 0.2e9
    assert after.processes == 2
    assert abs(sum(use.by_thread_name.values()) - use.cpu_ns) < READING_NS


def test_switches_waits_and_faults():
    use, _ = use_of(
        "for _ in range(100): time.sleep(0.0005)\nb = bytearray(64 << 20)\nb[::4096] = b'x' * 16384"
    )
    assert 100 <= use.voluntary < 120
    assert use.timeslices is not None
    assert use.timeslices >= 100
    assert use.wait_ns is not None
    assert use.wait_ns > 0
    assert use.minor_faults > 0


def test_an_idle_tree_uses_nothing():
    with running("") as process:
        settled(process)
        account = TreeAccount(process.pid)
        before = account.sample()
        time.sleep(0.05)
        use = difference(before, account.sample())
    assert (use.cpu_ns, use.voluntary, use.involuntary) == (0, 0, 0)


def test_the_root_can_be_left_out():
    with running(LIVE_CHILD + "burn(0.2)") as process:
        settled(process)
        account = TreeAccount(process.pid, include_root=False)
        before = account.sample()
        go(process)
        use = difference(before, account.sample())
    assert 0.15e9 <= use.cpu_ns < 0.2e9


def test_no_such_process():
    with pytest.raises(InfrastructureError, match="no process"):
        TreeAccount(2**22 + 1)
