"""`kernleap bound` for real: servers whose share is known, llama.cpp, Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap.model.errors import Exit, InfrastructureError
from kernleap.workload.serving.engines.ports import listeners
from kernleap.workload.serving.packages import llama_tree
from kernleap.workload.serving.proc import descendants

SERVER = Path(__file__).resolve().parents[1] / "known_share_server.py"
SHORT = ["--windows", "4", "--window-s", "1", "--warmup-s", "0.3", "--quiet", "--json"]
# The mean of the windows' ratios against the ratio of their sums.
TOLERANCE = 0.08


def kernleap(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kernleap", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def bound(*arguments: str) -> dict:
    done = kernleap("bound", *arguments)
    assert done.returncode == Exit.OK, done.stderr
    return json.loads(done.stdout)


def known(share: float, *words: str) -> str:
    return f"command:{sys.executable} {SERVER} {{port}} {share} {' '.join(words)}"


@pytest.mark.slow
def test_more_time_in_the_kernel_is_found_as_more():
    little, much = (bound("--engine", known(s), "--streams", "1", *SHORT) for s in (0.1, 0.6))
    for found in (little, much):
        windows = found["windows"]
        elapsed = sum(w["elapsed_ns"] for w in windows)
        # One thread: what it spends in the kernel and waits, over the time that passed.
        spent = found["kernel_ratio"]["mean"] * sum(w["cpu_ns"] for w in windows)
        spent += sum(w["wait_ns"] + w["softirq_ns"] for w in windows)
        assert found["bound"]["mean"] == pytest.approx(min(1, spent / elapsed), abs=TOLERANCE)
        assert found["bound"]["low"] <= found["bound"]["mean"] <= found["bound"]["high"]
        assert all(w["tokens"] > 0 for w in windows)
    # How much more depends on what else runs here; the server aims at a difference of 0.5.
    assert much["kernel_ratio"]["mean"] > little["kernel_ratio"]["mean"] + 0.15


@pytest.mark.slow
def test_a_server_that_runs_is_measured_and_left():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, SERVER, str(port), "0.4"])
    try:
        deadline = time.monotonic() + 20
        while not listeners(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        url = f"openai:http://127.0.0.1:{port}"
        found = bound("--engine", url, "--streams", "1", *SHORT)
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
    assert found["engine"]["pids"][0] == server.pid
    assert not found["engine"]["managed"]
    assert "command_line" not in found["engine"]  # it may hold keys
    assert 0.1 < found["kernel_ratio"]["mean"] < 0.7


@pytest.mark.slow
def test_a_spinning_server_is_said_to_spin():
    found = bound("--engine", known(0.2, "--spin"), "--streams", "1", *SHORT)
    assert any("nothing asked of it" in warning for warning in found["warnings"])
    assert found["machine"]["idle_cpu_ratio"] > 0


@pytest.mark.slow
@pytest.mark.network
def test_llama_cpp():
    try:
        llama_tree()
    except InfrastructureError as error:
        pytest.skip(f"the archive is out of reach: {error.what}")
    found = bound("--streams", "4", *SHORT)
    assert found["engine"]["engine"] == "llama.cpp"
    assert found["machine"]["failed_requests"] == 0
    assert 0 < found["bound"]["mean"] <= 1
    assert set(found["parts"]) == {"system", "waiting", "softirq"}
    for name in ("kernel_us", "user_us", "wait_us", "wakeups"):
        assert found["per_token"][name]["mean"] > 0
    # Its time per token is in the kernel for a good part, and not for most of it.
    assert 0.05 < found["kernel_ratio"]["mean"] < 0.8
    assert found["machine"]["idle_cpu_ratio"] < 0.1


def test_words_of_refusal():
    assert kernleap("bound", "--engine", "nonsense").returncode == Exit.USAGE
    done = kernleap("bound", "--engine", "openai:http://127.0.0.1:9", *SHORT)
    assert done.returncode == Exit.INFRASTRUCTURE
    assert "127.0.0.1:9" in done.stderr


def test_nothing_is_left_after_ctrl_c():
    command = [sys.executable, "-m", "kernleap", "bound", "--engine", known(0.2), "--streams", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        while "measuring" not in running.stderr.readline():
            assert running.poll() is None
        servers = descendants(running.pid)[1:]
        time.sleep(1.5)
        assert servers
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == Exit.INTERRUPTED
    assert [pid for pid in servers if Path(f"/proc/{pid}").exists()] == []
