"""The main job as a user runs it: stopped, resumed, judged again, reproduced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap.model.trial import TrialStatus
from kernleap.store import RunStore
from lab_runs import image_of

pytestmark = [pytest.mark.boot, pytest.mark.network, pytest.mark.slow]

REFS = ("debian:7.0", "debian:7.2")


def kernleap(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kernleap", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*args: str) -> tuple[int, str, str]:
    with kernleap(*args) as process:
        out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def processes_that_mention(path: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(path).encode() in command:
                found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_resumed_judged_again_and_reproduced(number, runs_in_tmp, tmp_path):
    for ref in REFS:
        image_of(ref)
    runs = tmp_path / "runs"
    first = kernleap("compare", *REFS, "--workload", "syscall-getppid", "--boots", "3")
    while not list(runs.glob("*/trials/[!.]*.parquet")):
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.1)
    first.send_signal(number)
    _, err = first.communicate(timeout=30)
    (run,) = RunStore.list()
    if number == signal.SIGTERM:
        assert first.returncode == 130
        assert f"kernleap compare --resume {run}" in err
    time.sleep(0.5)
    assert processes_that_mention(runs) == []
    store = RunStore.open(run)
    kept = store.finished()
    assert 1 <= len(kept) < 6

    code, out, err = ended("compare", "--resume", "latest")
    assert code == 11, err
    assert "syscall-getppid/1p" in out
    assert f"{len(kept)} of them stored already" in err
    assert set(store.finished().values()) == {TrialStatus.OK}
    assert len(store.finished()) == 6

    document = tmp_path / "report.json"
    assert ended("report", run, "--json", str(document))[0] == 11
    (metric,) = (
        m
        for m in json.loads(document.read_text())["metrics"]
        if m["name"] == "syscall-getppid/1p/kernel_instructions"
    )
    assert metric["decision"] == "worse"
    assert metric["functions"][0]["name"] == "prandom_u32_state"

    code, out, err = ended("reproduce", str(document))
    assert code == 0, err
    assert out.startswith(f"identical: every count of {run}")
