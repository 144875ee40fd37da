"""The load driver and a server that misbehaves: each fault is an error by kind, never a hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from golden_server import golden_server
from kernleap.guest.build import build_driver, host_arch
from kernleap.machine.base import Interrupted
from kernleap.model.errors import UsageError
from kernleap.workload.serving import driver
from kernleap.workload.serving.driver import Target
from kernleap.workload.serving.load import Closed, Constant, Fixed, LoadSpec, Timeouts
from kernleap.workload.serving.records import KINDS, Flag, read_requests

QUICK = Timeouts(connect_s=0.5, first_byte_s=0.5, stall_s=0.5, total_s=2.0)
SPEC = LoadSpec(Closed(3), prompt=Fixed(4), output=Fixed(8), requests=6, timeouts=QUICK)

FAULTS = {
    "429": "http_429",
    "500": "http_5xx",
    "404": "http_4xx",
    "301": "http_other",
    "mid-close": "truncated",
    "mid-close-unframed": "truncated",
    "mid-reset": "reset",
    "bad-chunk": "malformed_chunk",
    "bad-chunk-end": "malformed_chunk",
    "short-length": "truncated",
    "bad-json": "malformed_json",
    "bad-head": "malformed_http",
    "error-event": "server_error",
    "tgi-error": "server_error",
    "no-tokens": "no_tokens",
    "huge-event": "too_long",
    "silent": "first_byte_timeout",
    "silent-after-head": "stall_timeout",
    "silent-after-token": "stall_timeout",
    "trickle": "total_timeout",
}


@pytest.mark.parametrize(("behaviour", "kind"), FAULTS.items())
@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "closed"])
def test_each_fault_is_an_error_of_its_kind(
    behaviour: str, kind: str, keep_alive: bool, tmp_path: Path
) -> None:
    spec = replace(SPEC, keep_alive=keep_alive)
    with golden_server(tmp_path) as server:
        began = time.monotonic()
        result = driver.run(spec, Target(server.port, path=f"/{behaviour}"), tmp_path)
        took = time.monotonic() - began
    assert result.measured == {kind: 6}
    assert took < 2 * QUICK.total_s * 1.05 + 3  # two rounds of three streams
    rows = read_requests(tmp_path / "requests.bin").rows
    assert {KINDS[k] for k in rows["kind"]} == {kind}
    assert (rows["end"] >= rows["started"]).all()
    assert result.histograms["ttft"].count == 0
    assert result.histograms["schedule_delay"].count == 6


@pytest.mark.parametrize(
    ("behaviour", "limit_s", "since"),
    [("silent", 0.5, "sent"), ("silent-after-head", 0.5, "first_byte"), ("trickle", 2, "started")],
)
def test_a_timeout_comes_in_time(
    behaviour: str, limit_s: float, since: str, tmp_path: Path
) -> None:
    with golden_server(tmp_path) as server:
        driver.run(SPEC, Target(server.port, path=f"/{behaviour}"), tmp_path)
    rows = read_requests(tmp_path / "requests.bin").rows
    waited = (rows["end"] - rows[since]) / 1e9
    assert (waited >= limit_s).all()
    assert (waited < limit_s * 1.05 + 0.3).all()


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    result = driver.run(SPEC, Target(port), tmp_path)
    assert result.measured == {"refused": 6}


def test_a_server_that_is_gone_is_not_asked_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    spec = replace(SPEC, requests=0, duration_s=600, failures_max=50)
    began = time.monotonic()
    result = driver.run(spec, Target(port), tmp_path)
    assert time.monotonic() - began < 30
    assert result.gave_up
    assert 50 <= sum(result.measured.values()) <= 53
    assert any("gave up" in warning for warning in result.warnings())


def test_nobody_accepts(tmp_path: Path) -> None:
    """A full backlog drops the handshake: connecting takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        try:
            for _ in range(3):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                fillers.append(filler)
            time.sleep(0.1)
            result = driver.run(replace(SPEC, requests=3), Target(address[1]), tmp_path)
        finally:
            for filler in fillers:
                filler.close()
    assert result.measured == {"connect_timeout": 3}


def test_a_stale_connection_is_tried_again_once_and_counted(tmp_path: Path) -> None:
    spec = replace(SPEC, arrivals=Closed(1), requests=5)
    with golden_server(tmp_path) as server:
        result = driver.run(spec, Target(server.port, path="/closes-on-reuse?gap_ms=1"), tmp_path)
    assert result.measured == {"ok": 5}
    assert result.retried == 4
    assert result.connections == 5
    flags = read_requests(tmp_path / "requests.bin").rows["flags"]
    assert [bool(f & Flag.RETRIED) for f in flags] == [False, True, True, True, True]


def test_a_connection_that_closes_while_idle_is_replaced(tmp_path: Path) -> None:
    spec = replace(SPEC, arrivals=Constant(10), requests=5)
    with golden_server(tmp_path) as server:
        result = driver.run(spec, Target(server.port, path="/closes-idle?n=2&gap_ms=1"), tmp_path)
    assert result.measured == {"ok": 5}
    # A close is noticed with the last bytes, or while the connection is idle; never at a send.
    assert (result.connections, result.retried) == (5, 0)
    assert result.idle_closed <= 5


def test_stop_ends_the_driver_at_once(tmp_path: Path) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    spec = replace(SPEC, requests=0, duration_s=600)
    with golden_server(tmp_path) as server:
        timer.start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            driver.run(spec, Target(server.port, path="/silent"), tmp_path, stop=stop)
    assert time.monotonic() - began < 5


def test_a_signal_keeps_what_was_measured(tmp_path: Path) -> None:
    with golden_server(tmp_path) as server:
        process = subprocess.Popen(
            [
                build_driver(host_arch()), f"port={server.port}", "path=/normal?n=4&gap_ms=1",
                "duration_ns=600000000000", f"requests_file={tmp_path / 'r.bin'}",
            ],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(0.7)
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=5)[0]
    assert process.returncode == 130
    result = driver.parse_summary(text, "stdout")
    assert result.interrupted
    assert result.measured["ok"] > 5
    assert read_requests(tmp_path / "r.bin").rows.size == result.records
    assert result.window_s > 0.2


def test_the_driver_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from kernleap.workload.serving import driver\n"
        "from kernleap.workload.serving.load import Closed, LoadSpec\n"
        "driver.run(LoadSpec(Closed(1), duration_s=600), "
        "driver.Target(int(sys.argv[1]), path='/silent'), Path(sys.argv[2]))"
    )
    with golden_server(tmp_path) as server:
        parent = subprocess.Popen([sys.executable, "-c", script, str(server.port), tmp_path])
        child = _child_of(parent.pid)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 5
        while _alive(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not _alive(child)


def _child_of(pid: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            if b"load.conf" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.02)
    raise AssertionError("the driver was never started")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["port=1"], "a run must end"),
        (["requests=1"], "port is missing"),
        (["port=1", "requests=1", "rat=3"], "unknown key: rat"),
        (["port=1", "port=2", "requests=1"], "given twice"),
        (["port=99999", "requests=1"], "65535"),
        (["port=1", "requests=1", "rate=5"], "rate means nothing"),
        (["port=1", "requests=1", "arrival=poisson"], "rate is missing"),
        (["port=1", "requests=1", "prompt=fixed:x"], "whole number"),
        (["port=1", "requests=1", "prompt=uniform:9:3"], "from 9"),
        (["port=1", "requests=1", "output=trace"], "trace is missing"),
        (["port=1", "requests=1", "header=no colon"], "NAME: VALUE"),
        (["port=1", "requests=1", "bearer_env=KERNLEAP_NO_SUCH"], "no variable"),
        (["port=1", "requests=1", "path=no-slash"], "must start"),
        (["port=1", "requests=1", "form=chat", "prompt_form=ids"], "only text"),
        (["/no/such/file"], "No such file"),
        (["port=1", "requests=1", "host=no.such.host.invalid"], "host"),
    ],
)
def test_a_wrong_configuration_is_refused(arguments: list[str], complaint: str) -> None:
    done = subprocess.run(
        [build_driver(host_arch()), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""


def test_the_drivers_refusal_reaches_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="refuses") as caught:
        driver.run(SPEC, Target(1, bearer_env="KERNLEAP_NO_SUCH"), tmp_path)
    assert "KERNLEAP_NO_SUCH" in str(caught.value)
    with pytest.raises(UsageError, match="line break"):
        driver.run(SPEC, Target(1, headers=("A: b\nmarkers=1",)), tmp_path)
