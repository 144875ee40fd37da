"""`kernleap bound` for real: servers whose share is known, llama.cpp, Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kernleap.model.errors import Exit, InfrastructureError
from kernleap.probe.bpf import bpf_problem
from kernleap.probe.perf import perf_problem
from kernleap.workload.serving.engines.ports import listeners
from kernleap.workload.serving.packages import llama_tree
from kernleap.workload.serving.proc import descendants

SERVER = Path(__file__).resolve().parents[1] / "known_share_server.py"
SHORT = ["--windows", "3", "--window-s", "0.6", "--warmup-s", "0.2", "--quiet", "--json"]
PLAIN = [*SHORT, "--probe", "none"]


def kernleap(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kernleap", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def bound(*arguments: str) -> dict:
    done = kernleap("bound", *arguments)
    assert done.returncode == Exit.OK, done.stderr
    return json.loads(done.stdout)


def known(share: float, *words: str) -> str:
    return f"command:{sys.executable} {SERVER} {{port}} {share} {' '.join(words)}"


def truth(log: Path, windows: list[dict]) -> float:
    """Kernel / CPU time that the server itself found it used in these windows."""
    at, kernel, cpu = np.loadtxt(log, unpack=True)
    edges = [(w["began_ns"], w["began_ns"] + w["elapsed_ns"]) for w in windows]

    def used(sums):
        return sum(np.diff(np.interp(edge, at, sums))[0] for edge in edges)

    return used(kernel) / used(cpu)


def sampling_error(share: float, samples: float) -> float:
    """Four standard errors of a share among so many samples, and what the server cannot see:
    its way into and out of its clock, page faults, interrupts."""
    return 4 * np.sqrt(share * (1 - share) / samples) + 0.04


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.15, 0.6])
def test_the_share_is_what_the_server_says_it_was(share, tmp_path):
    log = tmp_path / "truth"
    probe = "none" if perf_problem() else "perf"
    engine = known(share, "--truth", str(log))
    found = bound("--engine", engine, "--streams", "1", *SHORT, "--probe", probe)
    windows = found["windows"]
    cpu = sum(w["cpu_ns"] for w in windows)
    kernel = sum(w["kernel_ns"] for w in windows) / cpu
    real = truth(log, windows)
    ticks = sum(w["ticks"] for w in windows)
    assert kernel == pytest.approx(real, abs=sampling_error(real, ticks))
    # One thread: what it spends in the kernel and waits, over the time that passed.
    elapsed = sum(w["elapsed_ns"] for w in windows)
    spent = real * cpu + sum(w["wait_ns"] + w["softirq_ns"] for w in windows)
    allowed = sampling_error(real, ticks) * cpu / elapsed + found["bound"]["spread"]
    assert found["bound"]["mean"] == pytest.approx(min(1, spent / elapsed), abs=allowed)
    assert found["bound"]["low"] <= found["bound"]["mean"] <= found["bound"]["high"]
    assert all(w["tokens"] > 0 and w["asked_ns"] > 0 for w in windows)
    if probe == "none":
        assert found["breakdown"] is None
        return
    breakdown, probed = found["breakdown"], found["probed_windows"]["perf"]
    real = truth(log, probed)
    least = breakdown["server"]["samples"]
    ratio = breakdown["kernel_ratio"]["mean"]
    assert ratio == pytest.approx(real, abs=sampling_error(real, least))
    # Most of its kernel time are its reads, and perf says so.
    contexts = breakdown["server"]["contexts"]
    assert next(iter(sorted(contexts, key=lambda c: -contexts[c]["us"]["mean"]))) == "call preadv"
    assert sum(c["share"]["mean"] for c in contexts.values()) == pytest.approx(1)
    assert set(found["probes"]) == {"perf"}


@pytest.mark.slow
def test_an_open_loop_counts_the_time_with_requests_in_flight():
    found = bound("--engine", known(0.3), "--rate", "2", "--arrivals", "constant", "--output",
                  "20", *PLAIN)  # fmt: skip
    assert found["machine"]["open_loop"]
    assert found["load"]["arrivals"] == "constant"
    for window in found["windows"]:
        assert 0 < window["asked_ns"] <= window["elapsed_ns"]
    # Ten answers a second would be too many for this server; two leave it idle in between.
    assert sum(w["cpu_ns"] for w in found["windows"]) <= sum(
        w["asked_ns"] for w in found["windows"]
    ) + 0.2 * sum(w["elapsed_ns"] for w in found["windows"])
    assert found["machine"]["client"]["ttft_p50"] > 0


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
        found = bound("--engine", url, "--streams", "1", *PLAIN)
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
    assert found["engine"]["pids"][0] == server.pid
    assert not found["engine"]["managed"]
    assert "command_line" not in found["engine"]  # it may hold keys
    assert found["breakdown"] is None and found["traced"] is None
    assert 0.1 < found["kernel_ratio"]["mean"] < 0.7


@pytest.mark.slow
def test_a_spinning_server_is_said_to_spin():
    found = bound("--engine", known(0.2, "--spin"), "--streams", "1", *PLAIN)
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
    probes = {"perf": perf_problem(), "bpf": bpf_problem()}
    assert found["probes_missing"] == {name: why for name, why in probes.items() if why}
    assert set(found["probes"]) == {name for name, why in probes.items() if not why}
    if not probes["perf"]:
        assert found["breakdown"]["server"]["levers"]["scheduler and wakeups"]["us"]["mean"] > 0
        assert found["breakdown"]["client"]["us_per_token"]["mean"] > 0
    if not probes["bpf"]:
        calls = {row["name"]: row for row in found["traced"]["calls"]}
        assert {"futex", "sendto"} <= set(calls)
        assert found["traced"]["waits"] > 0


def test_words_of_refusal():
    assert kernleap("bound", "--engine", "nonsense").returncode == Exit.USAGE
    assert kernleap("bound", "--arrivals", "poisson").returncode == Exit.USAGE
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
