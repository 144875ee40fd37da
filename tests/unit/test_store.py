"""Runs on disk: found by what users type, strict about what they hold."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernleap.experiment.plan import make_arms, make_plan
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance
from kernleap.model.machine import MachineSpec
from kernleap.model.run import Part, Region
from kernleap.model.trial import Profile, Samples, TrialRecord, TrialStatus
from kernleap.store import RunStore
from kernleap.store.query import summary
from kernleap.store.schema import to_table

DATA = Path(__file__).with_name("data")
KCONFIG = "CONFIG_HZ=250\nCONFIG_PREEMPT=y\n"


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def plan_at(second: int = 0, boots: int = 2):
    arms = make_arms([KernelRef("debian", "7.0"), KernelRef("debian", "7.2")])
    return make_plan(
        arms=arms,
        images={
            a.name: KernelImage(
                a.ref, a.ref.name, Arch.AMD64, Path("/x"), a.ref.name, Provenance("debian")
            )
            for a in arms
        },
        kconfig_digests={"debian:7.2": hashlib.sha256(KCONFIG.encode()).hexdigest()},
        parts=(
            Part(
                suite="micro",
                machine=MachineSpec(),
                regions=(Region("syscall-getppid/1p", "syscall-getppid", "1p", 300, 10),),
                metrics=(),
                guest_sha256="g",
                emulator_version="7.2",
                boots=boots,
            ),
        ),
        seed=1,
        created=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC),
    )


def new_store(second: int = 0, boots: int = 2) -> RunStore:
    return RunStore.create(plan_at(second, boots), {"debian:7.2": KCONFIG})


def ok(trial, value: float = 300.0) -> TrialRecord:
    values = np.array([value, value + 2, value])
    return TrialRecord(trial, TrialStatus.OK, samples=(Samples("m/1p/k", "instructions", values),))


def filled(store: RunStore) -> RunStore:
    for trial in store.plan.trials:
        store.write(ok(trial, 300.0 + trial.block + 10 * (trial.arm == "debian:7.2")))
    return store


def test_runs_are_found_by_id_prefix_path_and_latest(runs):
    first, second = new_store(1), new_store(2)
    assert RunStore.list() == (first.plan.id, second.plan.id)
    assert RunStore.open("latest").plan == second.plan
    assert RunStore.open(first.plan.id).plan == first.plan
    assert RunStore.open(first.plan.id[:15]).plan == first.plan
    assert RunStore.open(runs / first.plan.id).path == first.path
    with pytest.raises(UsageError, match="Several runs"):
        RunStore.open("2026")
    with pytest.raises(UsageError, match="No run 'nope'"):
        RunStore.open("nope")
    with pytest.raises(UsageError, match="No run ''"):
        RunStore.open("")


def test_no_runs_yet():
    assert RunStore.list() == ()
    with pytest.raises(UsageError, match="no runs yet"):
        RunStore.open("latest")


def test_a_run_loads_in_plan_order_with_configurations():
    store = new_store()
    for trial in reversed(store.plan.trials):
        store.write(ok(trial))
    data = RunStore.open("latest").load()
    assert [r.trial for r in data.records] == list(store.plan.trials)
    assert data.kconfigs == {"debian:7.2": KCONFIG}
    assert store.finished() == dict.fromkeys((t.id for t in store.plan.trials), TrialStatus.OK)


def test_a_configuration_that_is_not_the_planned_one(runs):
    with pytest.raises(ValueError, match="does not match"):
        RunStore.create(plan_at(), {"debian:7.2": "CONFIG_HZ=100\n"})
    assert list(runs.iterdir()) == []
    store = new_store()
    (store.path / "kconfig" / store.plan.inputs[1].kconfig_sha256).write_text("tampered")
    with pytest.raises(InfrastructureError, match="Cannot use") as caught:
        store.load()
    assert "digest" in (caught.value.cause or "")


def test_samples_are_never_rewritten_but_failures_may_be():
    store = new_store()
    trial = store.plan.trials[0]
    store.write(TrialRecord(trial, TrialStatus.LOST, reason="gone"))
    store.write(ok(trial))
    with pytest.raises(ValueError, match="already stored"):
        store.write(ok(trial))
    with pytest.raises(ValueError, match="not part of run"):
        store.write(ok(dataclasses.replace(trial, seed=99)))


def test_a_run_is_created_once():
    new_store()
    with pytest.raises(InfrastructureError, match="Cannot write"):
        new_store()
    assert len(RunStore.list()) == 1


def test_leftovers_of_killed_writers_are_ignored_then_swept(runs):
    store = filled(new_store())
    leftover = store.path / "trials" / ".000-0-aaaa.parquet.x1.tmp"
    leftover.write_bytes(b"half")
    old = runs / ".new-20260101-000000-aaaaaa"
    old.mkdir()
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    assert len(store.load().records) == 4
    with store.controlling():
        assert not leftover.exists()
    new_store(3)
    assert not old.exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "garbage", "empty"])
def test_a_damaged_trial_is_named(damage):
    store = filled(new_store())
    path = store.trial_path(store.plan.trials[1].id)
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[60] ^= 0xFF
    else:
        data = bytearray(b"" if damage == "empty" else b"not parquet" * 50)
    path.write_bytes(data)
    with pytest.raises(InfrastructureError, match="Cannot use a file of this run") as caught:
        store.load()
    assert caught.value.where == str(path)


def test_every_flipped_byte_is_noticed_or_harmless():
    """No flipped byte may change a number silently."""
    store = new_store(boots=1)
    trial = store.plan.trials[0]
    profile = Profile("m/1p", 0, 3, {"do_syscall_64": 900, "getppid": 12}, {}, {"syscalls": 1.0})
    store.write(dataclasses.replace(ok(trial), profiles=(profile,), facts={"cpu": "x"}))
    path = store.trial_path(trial.id)
    data = path.read_bytes()
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            (record,) = store.load().records
        except (InfrastructureError, UsageError):  # a flipped version digit reads as newer
            continue
        assert record.profiles == (profile,)
        assert record.facts == {"cpu": "x"}
        (samples,) = record.samples
        assert (samples.metric, samples.values.tolist()) == ("m/1p/k", [300, 302, 300])


def test_foreign_and_swapped_files_are_named():
    store = filled(new_store())
    stranger = store.path / "trials" / "notes.txt"
    stranger.write_text("hello")
    with pytest.raises(InfrastructureError) as caught:
        store.finished()
    assert caught.value.where == str(stranger)
    stranger.unlink()
    first, second = (store.trial_path(t.id) for t in store.plan.trials[:2])
    second.write_bytes(first.read_bytes())
    with pytest.raises(InfrastructureError, match="Cannot use") as caught:
        store.load()
    assert caught.value.where == str(second)
    pq.write_table(pa.table({"a": [1]}), second)
    with pytest.raises(InfrastructureError) as caught:
        store.load()
    assert "not a kernleap trial" in (caught.value.cause or "")


def test_newer_versions_are_refused_with_advice():
    store = filled(new_store())
    path = store.trial_path(store.plan.trials[0].id)
    table = to_table(ok(store.plan.trials[0]))
    metadata = {**table.schema.metadata, b"kernleap.schema": b"2"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(UsageError, match="newer kernleap") as caught:
        store.load()
    assert caught.value.where == str(path)
    assert "version 2" in (caught.value.cause or "")
    plan = json.loads((store.path / "plan.json").read_text())
    (store.path / "plan.json").write_text(json.dumps(plan | {"schema": 3}))
    with pytest.raises(UsageError, match="newer kernleap"):
        RunStore.open("latest")


def test_a_plan_of_the_first_schema_has_one_part(runs):
    """A run of kernleap 0.1.0 before runs had parts; what it planned is what is read."""
    store = new_store()
    old = json.loads((DATA / "plan-schema-1.json").read_text())
    (store.path / "plan.json").write_text(json.dumps(old))
    plan = RunStore.open("latest").plan
    (part,) = plan.parts
    assert part.boots == 2
    assert plan.suites == ("micro",)
    assert plan.workloads == ("syscall-getppid/1p",)
    assert [m.name for m in plan.metrics] == ["syscall-getppid/1p/kernel_instructions"]
    assert [(t.id, t.part) for t in plan.trials] == [(t["id"], 0) for t in old["trials"]]
    assert (part.guest_sha256, part.emulator_version) == ("g", "7.2")
    again = RunStore.create(dataclasses.replace(plan, id="again"), {"debian:7.2": KCONFIG})
    assert RunStore.open("again").plan == again.plan
    (store.path / "plan.json").write_text(json.dumps(old | {"machine": {"cores": 2}}))
    with pytest.raises(InfrastructureError) as caught:
        RunStore.open(store.plan.id)
    assert "parts[0].machine.cores: unknown key" in (caught.value.cause or "")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda p: p | {"colour": "red"}, "colour: unknown key"),
        (lambda p: p | {"seed": "one"}, "seed: expected int"),
        (lambda p: p | {"seed": True}, "seed: expected int"),
        (lambda p: {k: v for k, v in p.items() if k != "arms"}, "arms: missing key"),
        (lambda p: p | {"parts": [{"machine": {"cores": 2}}]}, "parts[0].boots: missing key"),
        (
            lambda p: p | {"parts": [p["parts"][0] | {"machine": {"cores": 2}}]},
            "parts[0].machine.cores: unknown key",
        ),
        (lambda p: p | {"trials": [{"id": 1}]}, "trials[0].arm: missing key"),
        (lambda p: p | {"schema": 0}, "unknown plan schema 0"),
        (lambda p: [p], "expected dict"),
    ],
)
def test_plans_are_read_strictly(change, cause):
    store = new_store()
    path = store.path / "plan.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InfrastructureError) as caught:
        RunStore.open("latest")
    assert cause in (caught.value.cause or "")
    assert caught.value.where == str(path)


def test_inexact_counts_are_refused():
    store = new_store()
    profile = Profile("m/1p", 0, 1, {"f": 2**53})
    record = dataclasses.replace(ok(store.plan.trials[0]), profiles=(profile,))
    with pytest.raises(ValueError, match="not an exact count"):
        store.write(record)
    assert store.finished() == {}


def test_a_run_is_removed_whole(runs):
    store = filled(new_store())
    store.remove()
    assert list(runs.iterdir()) == []


def test_summary_over_ok_trials_only():
    store = filled(new_store(boots=3))
    lost = new_store(5, boots=1)
    lost.write(TrialRecord(lost.plan.trials[0], TrialStatus.LOST))
    assert summary(lost) == ()
    baseline, candidate = summary(store)
    assert (baseline.arm, baseline.boots, baseline.samples) == ("debian:7.0", 3, 9)
    assert (baseline.minimum, baseline.median, baseline.maximum) == (300, 301, 302)
    assert (candidate.arm, candidate.median, candidate.unit) == ("debian:7.2", 311, "instructions")


def test_file_names_with_glob_characters(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "ru[n]s*?"))
    assert len(summary(filled(new_store()))) == 2


def test_a_large_run_loads_quickly():
    """40 trials of 400 metrics of 300 operations: about a second on two slow cores."""
    store = new_store(boots=20)
    samples = tuple(
        Samples(f"w{n}/1p/k", "instructions", np.arange(300.0) % 5 + n) for n in range(400)
    )
    profiles = tuple(
        Profile(f"w{n}/1p", variant, 300, {f"function_{k}": k for k in range(200)})
        for n in range(40)
        for variant in (-1, 0, 1)
    )
    record = TrialRecord(store.plan.trials[0], TrialStatus.OK, samples=samples, profiles=profiles)
    for trial in store.plan.trials:
        store.write(dataclasses.replace(record, trial=trial))
    begun = time.process_time()
    data = store.load()
    spent = time.process_time() - begun
    assert len(data.records) == 40
    assert data.records[-1].samples[-1].values[:3].tolist() == [399, 400, 401]
    assert spent < 3, f"{spent:.1f} CPU-seconds"
