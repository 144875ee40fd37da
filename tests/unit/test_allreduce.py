"""All-reduce: for real where there is a torch, and everything about it that needs none."""

from __future__ import annotations

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kernleap.cli import run as kernleap
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.metric import Grade
from kernleap.store import RunStore
from kernleap.workload.allreduce import run
from kernleap.workload.allreduce.region import AllreduceRegion
from kernleap.workload.needs import needs_of
from kernleap.workload.serving.proc import descendants

REGION = AllreduceRegion(ranks=2, size_bytes=4096, operations=50, warmup=5)
NO_TORCH = not (os.environ.get(run.PYTHON) or find_spec("torch"))

STAND_IN = """#!{python}
# A Python that says it has torch; told to run the ranks, it does `{act}` instead.
import json, os, sys, time
from pathlib import Path
if sys.argv[1] == "-c":
    sys.exit(0)
spec = json.loads(sys.argv[2])
def write(rank, **more):
    result = {{"rank": rank, "began_ns": 1000, "ended_ns": 51_000_000 + 1000, "voluntary": 100,
              "involuntary": 50, "user_ns": 1_000_000, "kernel_ns": 4_000_000, "torch": "x",
              "device": "cpu", "took_ns": [1000 * (rank + n) for n in range(spec["operations"])]}}
    Path(spec["directory"], f"rank-{{rank}}.json").write_text(json.dumps({{**result, **more}}))
{act}
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Has the ranks run by a program that does `act`."""

    def make(act: str) -> None:
        program = tmp_path / "python"
        program.write_text(STAND_IN.format(python=sys.executable, act=act))
        program.chmod(0o755)
        monkeypatch.setenv(run.PYTHON, str(program))

    return make


@pytest.mark.skipif(NO_TORCH, reason="no torch: an extra; KERNLEAP_TORCH_PYTHON may name one")
def test_a_real_sum_over_gloo(tmp_path):
    found = run.reduce(REGION, tmp_path / "work")
    assert found.values.keys() == {m.quantity for m in REGION.metrics()}
    assert found.values["latency"].shape == (50,)
    assert (found.values["latency"] > 0).all()
    assert found.values["cpu_time_per_operation"] > 0
    assert found.facts["backend"] == "gloo"
    assert "no GPU took part" in found.facts["note"]
    assert descendants(os.getpid()) == [os.getpid()]


@pytest.mark.skipif(NO_TORCH, reason="no torch: an extra; KERNLEAP_TORCH_PYTHON may name one")
def test_a_real_rank_that_dies_takes_the_others_with_it(tmp_path):
    def kill_one() -> None:
        ranks = [
            pid for pid in descendants(os.getpid())
            if Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").endswith(b"\0" + b"1")
        ]  # fmt: skip
        if ranks:
            os.kill(ranks[0], 9)

    endless = AllreduceRegion(ranks=2, size_bytes=4096, operations=1_000_000)
    with pytest.raises(InfrastructureError, match="ended with status 1"):
        run.reduce(endless, tmp_path / "work", while_waiting=kill_one)
    assert descendants(os.getpid()) == [os.getpid()]


def test_values_of_known_results(tmp_path, stand_in):
    stand_in("write(0); write(1)")
    values = {k: v.tolist() for k, v in run.reduce(REGION, tmp_path / "w").values.items()}
    # The slower rank counts, operation by operation; times in us.
    assert values.pop("latency") == [n + 1.0 for n in range(50)]
    bandwidth = 4096 * 50 / 0.051 / 1e6
    assert {k: v[0] for k, v in values.items()} == pytest.approx(
        {
            "latency_p90": np.quantile(np.arange(1, 51), 0.9),
            "latency_p99": np.quantile(np.arange(1, 51), 0.99),
            "algorithm_bandwidth": bandwidth,
            "bus_bandwidth": bandwidth,  # 2 (n - 1) / n is 1 for two ranks
            "kernel_time_per_operation": 2 * 4000 / 50,
            "user_time_per_operation": 2 * 1000 / 50,
            "cpu_time_per_operation": 2 * 5000 / 50,
            "voluntary_switches_per_operation": 4,
            "involuntary_switches_per_operation": 2,
        }
    )


def test_the_bus_carries_more_with_more_ranks(tmp_path, stand_in):
    stand_in("[write(n) for n in range(4)]")
    region = AllreduceRegion(ranks=4, size_bytes=4096, operations=50)
    values = run.reduce(region, tmp_path / "w").values
    assert values["bus_bandwidth"] == pytest.approx(1.5 * values["algorithm_bandwidth"])


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        ("print('gloo: connection closed', file=sys.stderr); sys.exit(1)", "ended with status 1"),
        ("os.kill(os.getpid(), 9)", "ended with status -9"),
        ("write(0)", "no readable result"),
        ("write(0); write(1, took_ns=[1, 2])", "no readable result"),
        ("write(0); write(1, kernel_ns=-5)", "no readable result"),
        ("write(0); write(1, user_ns='much')", "no readable result"),
        ("write(0); Path(spec['directory'], 'rank-1.json').write_text('[' * 9999)", "no readable"),
        ("time.sleep(600)", "did not end within"),
    ],
)
def test_ranks_that_fail_are_an_infrastructure_error(tmp_path, stand_in, act, complaint):
    stand_in(act)
    with pytest.raises(InfrastructureError, match=complaint):
        run.reduce(REGION, tmp_path / "w", limit_s=2.0)
    assert descendants(os.getpid()) == [os.getpid()]


def test_what_is_raised_while_waiting_ends_the_ranks(tmp_path, stand_in):
    stand_in("time.sleep(600)")
    begun = time.monotonic()

    def stop() -> None:
        if time.monotonic() - begun > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.reduce(REGION, tmp_path / "w", while_waiting=stop)
    assert descendants(os.getpid()) == [os.getpid()]


def test_without_torch_the_error_has_the_command(tmp_path, monkeypatch):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setenv(run.PYTHON, str(bare))
    with pytest.raises(UsageError, match="needs torch") as caught:
        run.python_with_torch()
    assert f"{bare} -m pip install 'torch>=2.6'" in caught.value.next_step
    monkeypatch.setenv(run.PYTHON, str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="cannot be run"):
        run.python_with_torch()


def test_a_plan_carries_the_region():
    region = AllreduceRegion(ranks=3, size_bytes=8, operations=7, warmup=0, backend="nccl")
    assert region.name == "allreduce/nccl-3x8"
    assert AllreduceRegion.from_plan(region.planned) == region
    assert {metric.grade for metric in region.metrics()} == {Grade.TIMED}
    assert needs_of("allreduce").boots == 10


@pytest.mark.parametrize(
    "wrong", [{"ranks": 1}, {"size_bytes": 6}, {"size_bytes": 1 << 40}, {"backend": "mpi"}]
)
def test_regions_that_cannot_be(wrong):
    with pytest.raises(UsageError, match="all-reduce"):
        AllreduceRegion(**wrong)


def test_the_lab_refuses_it_and_options_have_their_place(capsys):
    both = ["debian:7.0", "debian:7.2"]
    assert kernleap(["compare", *both, "--suite", "allreduce"]) == 2
    assert "--machine here" in capsys.readouterr().err
    assert kernleap(["compare", *both, "--ranks", "4"]) == 2
    assert "--suite allreduce" in capsys.readouterr().err


def test_trials_on_this_machine(tmp_path, stand_in, monkeypatch, capsys):
    stand_in("write(0); write(1)")
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))
    argv = ["compare", "host", "host", "--machine", "here", "--suite", "allreduce", "--boots", "3",
            "--bytes", "4096", "--quiet"]  # fmt: skip
    assert kernleap(argv) == 10, capsys.readouterr().err  # alike to the last digit: hold
    run_ = RunStore.open("latest").load()
    assert [record.status for record in run_.records] == ["ok"] * 6
    assert {m.workload for m in run_.plan.metrics} == {"allreduce"}
    assert run_.records[0].facts["allreduce"]["backend"] == "gloo"


def test_a_trial_whose_ranks_die_is_lost(tmp_path, stand_in, monkeypatch, capsys):
    stand_in("sys.exit(1)")
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))
    argv = ["compare", "host", "host", "--machine", "here", "--suite", "allreduce", "--boots", "1",
            "--quiet"]  # fmt: skip
    assert kernleap(argv) == 20
    records = RunStore.open("latest").load().records
    assert [record.status for record in records] == ["lost"] * 2
    assert "ended with status 1" in records[0].reason
