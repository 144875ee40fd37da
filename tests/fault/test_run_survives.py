"""A controller that is killed, starved or run twice loses nothing and doubles nothing."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from run_in_processes import METRIC, ProcessRunner, images_of, record_of, small_plan

from kernleap.experiment.executor.local import execute
from kernleap.machine.base import Interrupted
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.trial import TrialStatus
from kernleap.store import RunStore

CONTROLLER = Path(__file__).with_name("run_in_processes.py")


@pytest.fixture
def store(tmp_path, monkeypatch) -> RunStore:
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))
    return RunStore.create(small_plan(), {})


def controller(store: RunStore, jobs: int = 2, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(CONTROLLER), str(store.path), str(jobs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def finish(store: RunStore, runner: ProcessRunner | None = None) -> ProcessRunner:
    runner = runner or ProcessRunner(seconds=0.001)
    plan = store.plan
    execute(
        plan, images_of(plan.arms), (runner,), store,
        jobs=2, progress=lambda p: None, stop=threading.Event(),
    )  # fmt: skip
    return runner


def assert_whole(store: RunStore) -> None:
    """Every trial is stored once, is what its guest said, and nothing else is there."""
    plan = store.plan
    data = store.load()
    assert [r.trial for r in data.records] == list(plan.trials)
    for record in data.records:
        wanted = record_of(record.trial, float(record.trial.seed % 50 + 300))
        assert record.status is TrialStatus.OK
        assert record.samples[0].metric == METRIC
        assert np.array_equal(record.samples[0].values, wanted.samples[0].values)
        assert record.profiles == wanted.profiles
        assert record.artifacts == wanted.artifacts
    names = sorted(p.name for p in (store.path / "trials").iterdir())
    assert names == sorted(f"{t.id}.parquet" for t in plan.trials)
    top = {p.name for p in store.path.iterdir()}
    assert top <= {"plan.json", "kconfig", "trials", "controller.lock"}


def stored(store: RunStore) -> dict[str, tuple[int, int]]:
    """Identity of stored trial files: they must never be written again."""
    files = (store.path / "trials").glob("[!.]*")
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def duration_of_a_run(store: RunStore) -> float:
    with controller(store) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        begun = time.monotonic()
        process.stdout.read()
    assert process.returncode == 0
    return time.monotonic() - begun


def test_sigkill_at_20_random_moments_loses_and_doubles_nothing(store, tmp_path):
    duration = duration_of_a_run(store)
    assert_whole(store)
    moments = random.Random(7)
    killed = 0
    for nth in range(20):
        one = RunStore.create(small_plan(seed=nth), {})
        with controller(one) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep((nth + moments.random()) / 20 * duration)
            process.kill()
            process.stdout.read()
        killed += process.returncode == -signal.SIGKILL
        before = stored(one)
        runner = finish(one)
        assert before.items() <= stored(one).items()
        assert len(runner.attempts) == len(one.plan.trials) - len(before)
        assert_whole(one)
    assert killed >= 10, "the kills came too late to test anything"


@pytest.mark.parametrize("nth", [1, 2, 7])
def test_killed_in_the_midst_of_writing(store, nth):
    with controller(store, DIE_AT_FSYNC=str(nth)) as process:
        assert process.stdout is not None
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert len(stored(store)) < len(store.plan.trials)
    finish(store)
    assert_whole(store)


def test_sigterm_ends_promptly_and_leaves_no_process(store):
    plan = store.plan
    runner = ProcessRunner(seconds=60)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        execute(
            plan, images_of(plan.arms), (runner,), store,
            jobs=3, progress=lambda p: None, stop=stop,
        )  # fmt: skip
    assert time.monotonic() - begun < 5
    assert len(runner.pids) == 3
    for pid in runner.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert stored(store) == {}
    assert not store.work_dir.exists()
    finish(store)
    assert_whole(store)


def test_second_controller_is_turned_away_and_a_dead_one_is_not_in_the_way(store):
    with store.controlling():
        assert store.busy
        with controller(store) as process:
            _, errors = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "Another kernleap is working on this run" in errors
        with pytest.raises(UsageError, match="Another kernleap"):
            store.remove()
    assert not store.busy
    assert stored(store) == {}
    with controller(store, DIE_AT_FSYNC="3") as process:
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    finish(store)
    assert_whole(store)


def test_full_disk_names_the_file_and_keeps_what_is_stored(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "kernleap-test", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mount.stderr.strip()}")
    try:
        monkeypatch.setenv("KERNLEAP_RUNS", str(disk))
        store = RunStore.create(small_plan(boots=10), {})
        with pytest.raises(InfrastructureError) as caught:
            finish(store)
        assert "No space left" in (caught.value.cause or "")
        assert str(disk) in (caught.value.where or "")
        kept = stored(store)
        assert 0 < len(kept) < len(store.plan.trials)
        assert store.finished().keys() == {name.removesuffix(".parquet") for name in kept}
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        finish(store)
        assert kept.items() <= stored(store).items()
        assert_whole(store)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_full_for_the_trial_itself_is_no_result(store):
    class Full(ProcessRunner):
        def run(self, plan, trial, image, workdir, stop):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InfrastructureError, match="could not be run") as caught:
        finish(store, runner=Full())
    assert caught.value.cause == "No space left on device"
    assert str(store.path) in (caught.value.where or "")
    assert not stored(store)


def test_file_size_limit_stops_a_run_with_a_clear_error(store):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(InfrastructureError, match=r"Cannot write .*\.parquet") as caught:
            finish(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.cause == "File too large"
    assert list((store.path / "trials").iterdir()) == []
    finish(store)
    assert_whole(store)


def test_infrastructure_is_tried_twice_and_the_story_kept(store):
    first, second, third, fourth = (t.id for t in store.plan.trials[:4])
    runner = ProcessRunner(
        seconds=0.001,
        statuses={
            first: [TrialStatus.PANICKED, TrialStatus.OK],
            second: [TrialStatus.HUNG, TrialStatus.LOST],
            third: [TrialStatus.INVALID, TrialStatus.OK],
            fourth: [TrialStatus.PANICKED, TrialStatus.PANICKED],
        },
    )
    finish(store, runner)
    records = {r.trial.id: r for r in store.load().records}
    assert records[first].status is TrialStatus.OK
    assert records[first].attempt == 2
    assert records[first].warnings == ("attempt 1 panicked: as the test asked",)
    assert (records[second].status, records[second].attempt) == (TrialStatus.LOST, 2)
    assert (records[third].status, records[third].attempt) == (TrialStatus.INVALID, 1)
    assert runner.attempts.count(second) == 2
    assert runner.attempts.count(third) == 1

    again = finish(store)  # a resume measures what was lost, and only that
    assert again.attempts == [second]
    record = {r.trial.id: r for r in store.load().records}[second]
    assert (record.status, record.attempt) == (TrialStatus.OK, 3)
    assert record.warnings == (
        "attempt 1 hung: as the test asked",
        "attempt 2 lost: as the test asked",
    )
    assert finish(store).attempts == []


def test_an_error_of_the_runner_stops_the_run_and_is_raised(store):
    class Broken(ProcessRunner):
        def run(self, plan, trial, image, workdir, stop):
            if trial.order == 2:
                raise InfrastructureError("no emulator here")
            return super().run(plan, trial, image, workdir, stop)

    with pytest.raises(InfrastructureError, match="no emulator here"):
        finish(store, Broken())
    assert len(stored(store)) < len(store.plan.trials)
    finish(store)
    assert_whole(store)
