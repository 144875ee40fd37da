"""`--machine here` for real: trials by the clock, and nothing left changed or running, ever.

All runs are in a network of their own, whose sysctls no other program uses.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap.model.errors import Exit, InfrastructureError
from kernleap.model.trial import TrialStatus
from kernleap.store import RunStore
from kernleap.workload.serving.packages import llama_tree
from kernleap.workload.serving.proc import descendants

TESTS = Path(__file__).resolve().parents[1]
VERDICTS = {Exit.OK, Exit.HOLD, Exit.REJECT, Exit.UNDECIDED}
KNOB = "net.ipv4.tcp_fin_timeout"
PATH = "/proc/sys/" + KNOB.replace(".", "/")
BEFORE, WANTED = "60", "31"
ARMS = ["host", f"host+sysctl:{KNOB}={WANTED}"]
SHORT = ["--window-s", "0.4", "--warmup-s", "0.1", "--streams", "2", "--output", "16"]
SERVER = f"command:{sys.executable} {TESTS / 'mortal_server.py'} {{port}}"
OWN = [sys.executable, str(TESTS / "own_network.py")]
HOLDER = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    with open(line.strip()) as knob:
        print(knob.read().strip(), flush=True)
"""


class Network:
    """A network that lives as long as the process that made it."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(
            [*OWN, sys.executable, "-S", "-c", HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        self.ready = self.holder.stdout.readline() == "ready\n"

    def command(self, *words: str) -> list[str]:
        return [*OWN, "--join", str(self.holder.pid), *words]

    def knob(self) -> str:
        """What it reads there: /proc/sys/net is the reader's network's."""
        assert self.holder.stdin is not None and self.holder.stdout is not None
        print(PATH, file=self.holder.stdin, flush=True)
        return self.holder.stdout.readline().strip()

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = self.command(sys.executable, "-m", "kernleap", *words)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        running = self.start(*words)
        try:
            out, err = running.communicate(timeout=240)
        finally:
            running.kill()
        return subprocess.CompletedProcess(words, running.returncode, out, err)


@pytest.fixture(scope="module")
def network():
    made = Network()
    if not made.ready:
        made.holder.kill()
        _, words = made.holder.communicate()
        pytest.skip(f"no network of one's own can be made here: {words.splitlines()[-1:]}")
    yield made
    made.holder.kill()
    made.holder.communicate()


def compare(network: Network, *words: str) -> subprocess.CompletedProcess[str]:
    return network.run("compare", *ARMS, "--machine", "here", *SHORT, *words)


def records(run: str = "latest"):
    return RunStore.open(run).load().records


@pytest.mark.slow
@pytest.mark.network
def test_llama_cpp_is_compared_and_everything_is_put_back(network, tmp_path):
    try:
        llama_tree()
    except InfrastructureError as error:
        pytest.skip(f"the archive is out of reach: {error.what}")
    report = tmp_path / "report.json"
    done = compare(network, "--boots", "2", "--aa", "--json", str(report))
    assert done.returncode in VERDICTS, done.stderr
    assert network.knob() == BEFORE
    assert json.loads(report.read_text())["grades"] == ["timed"]
    found = records()
    assert [r.status for r in found] == [TrialStatus.OK] * 6
    for record in found:
        knobs = record.facts["knobs"]
        changed = record.trial.arm == ARMS[1]
        assert [(k["before"], k["after"]) for k in knobs] == [(BEFORE, WANTED)] * changed
        assert record.facts["kernel_release"] == os.uname().release
        assert record.facts["engine"]["model"]["quantisation"] == "Q4_0"
        values = {s.metric.rsplit("/", 1)[1]: s.values.item() for s in record.samples}
        cost = {name: values[f"{name}_time_per_token"] for name in ("cpu", "kernel", "user")}
        assert cost["cpu"] == pytest.approx(cost["kernel"] + cost["user"])
        assert min(cost.values()) >= 0 < cost["cpu"]
        assert values["voluntary_switches_per_token"] > 0
        assert values["tokens_per_second"] > 0
        for name in ("ttft", "itl", "tpot", "e2e"):
            # Half of the gaps may be none: events that come in one read have one time.
            assert 0 <= values[f"{name}_p50"] <= values[f"{name}_p99"]
            assert values[f"{name}_p99"] > 0
        assert values["ttft_p50"] < values["e2e_p50"]
        assert values["error_ratio"] == 0
        # What is not measured is said, and what is said not to be measured is not.
        missing = " ".join(record.facts["not_measured"])
        assert ("wakeups" in missing) == ("wakeups_per_token" not in values)
        assert ("energy: CPU" in missing) <= (not record.facts["energy_joules"])
        assert record.facts["accounting"]["kernel_time_error_ratio"] >= 0
    orders = {r.trial.block: [] for r in found}
    for record in sorted(found, key=lambda r: r.trial.order):
        orders[record.trial.block].append(record.trial.arm)
    assert all(len(set(arms)) == 3 for arms in orders.values())


def middle_of_a_run(network: Network, *words: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A run in whose candidate's trial it is now: the knob is set, the server serves."""
    running = network.start(
        "compare", *ARMS, "--machine", "here", "--engine", SERVER, "--boots", "2", *SHORT,
        "--window-s", "2", *words,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while network.knob() != WANTED or len(descendants(running.pid)) < 4:
        if running.poll() is not None or time.monotonic() > deadline:
            running.kill()
            raise AssertionError(running.communicate())
        time.sleep(0.05)
    return running, descendants(running.pid)[1:]


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            raise AssertionError(left)
        time.sleep(0.05)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_puts_back_and_the_run_goes_on_later(network, number):
    running, servers = middle_of_a_run(network)
    running.send_signal(number)
    _, words = running.communicate(timeout=60)
    assert running.returncode == Exit.INTERRUPTED, words
    assert network.knob() == BEFORE
    assert gone(servers)
    assert "compare --resume" in words
    if number != signal.SIGINT:
        return
    before = {r.trial.id for r in records()}
    plan = RunStore.open("latest").plan
    assert len(before) < len(plan.trials)
    done = network.run("compare", "--resume", "latest")
    assert done.returncode in VERDICTS, done.stderr
    assert {r.trial.id for r in records()} == {t.id for t in plan.trials}
    assert network.knob() == BEFORE


@pytest.mark.slow
def test_after_sigkill_the_next_start_puts_back(network):
    running, servers = middle_of_a_run(network)
    running.kill()
    running.communicate()
    assert gone(servers)
    assert network.knob() == WANTED
    done = network.run("restore")
    assert done.returncode == Exit.OK, done.stderr
    assert f"put back to '{BEFORE}'" in done.stdout
    assert network.knob() == BEFORE
    assert "nothing to put back" in network.run("restore").stdout


@pytest.mark.slow
def test_an_engine_that_dies_in_mid_trial(network, tmp_path):
    engine = f"{SERVER} --dies {tmp_path / 'token'}"
    done = compare(network, "--engine", engine, "--boots", "1")
    assert done.returncode in VERDICTS, done.stderr
    assert network.knob() == BEFORE
    first, second = sorted(records(), key=lambda r: r.trial.order)
    # Its successor lived: the second attempt counts, and tells of the first.
    assert (first.status, first.attempt) == (TrialStatus.OK, 2)
    assert "the weights are gone" in first.warnings[0]
    assert (second.status, second.attempt) == (TrialStatus.OK, 1)

    done = compare(network, "--engine", f"{SERVER} --dies /nowhere/token", "--boots", "1")
    assert done.returncode == Exit.INFRASTRUCTURE
    assert network.knob() == BEFORE
    for record in records():
        assert record.status is TrialStatus.LOST
        assert "ended on its own, by signal 6" in record.reason
        assert "the weights are gone" in record.artifacts["server log"]
        assert record.samples == ()


@pytest.mark.slow
def test_one_at_a_time(network):
    running, _ = middle_of_a_run(network)
    done = compare(network, "--engine", SERVER, "--boots", "1")
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert done.returncode == Exit.INFRASTRUCTURE
    assert "another kernleap" in done.stderr
    assert network.knob() == BEFORE


@pytest.mark.slow
def test_a_warm_server_serves_all_trials_and_ends_with_them(network):
    done = compare(network, "--engine", SERVER, "--boots", "1", "--warm")
    assert done.returncode in VERDICTS, done.stderr
    assert {r.status for r in records()} == {TrialStatus.OK}
    assert RunStore.open("latest").plan.parts[0].regions[0].params[6] == 1


def test_a_knob_that_the_kernel_refuses_stops_the_run_before_it_begins(network):
    arms = ["host", "host+sysctl:net.ipv4.tcp_congestion_control=nonsense"]
    done = network.run("compare", *arms, "--machine", "here")
    assert done.returncode == Exit.USAGE
    assert "refused" in done.stderr
    assert not RunStore.list()


def bound(network: Network, engine: str) -> subprocess.Popen[str]:
    words = ["--streams", "2", "--window-s", "1", "--windows", "9", "--warmup-s", "0.2"]
    return network.start("bound", "--engine", engine, *words)


@pytest.mark.slow
def test_bound_leaves_nothing_after_sigterm(network):
    running = bound(network, SERVER)
    assert running.stderr is not None
    while "measuring" not in running.stderr.readline():
        assert running.poll() is None
    servers = descendants(running.pid)[1:]
    assert servers
    running.send_signal(signal.SIGTERM)
    _, words = running.communicate(timeout=60)
    assert running.returncode == Exit.INTERRUPTED, words
    assert gone(servers)


@pytest.mark.slow
def test_bound_leaves_nothing_of_an_engine_that_dies(network):
    running = bound(network, f"{SERVER} --dies /nowhere/token")
    _, words = running.communicate(timeout=120)
    assert running.returncode == Exit.INFRASTRUCTURE
    assert "by signal 6" in words
    assert "the weights are gone" in words
    assert not [pid for pid in descendants(os.getpid()) if "mortal" in command_line(pid)]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
