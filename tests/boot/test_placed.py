"""Placement on real kernels: profiles are what they promise, and the feature is seen at work."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

import pytest

from kernleap import kernel
from kernleap.experiment.plan import make_arms, make_plan
from kernleap.machine import machine_for, profiles
from kernleap.machine.kinds.lab import Lab
from kernleap.model.machine import MachineSpec
from kernleap.model.run import Part, RunPlan
from kernleap.model.topology import Topology
from kernleap.model.trial import TrialRecord, TrialStatus
from kernleap.workload import fitted, metrics_for, planned_for, select
from kernleap.workload.needs import needs_of
from lab_runs import image_of, run_trial

pytestmark = [pytest.mark.boot, pytest.mark.slow]

OLD, ON = "debian:7.1", "debian:7.2"
OFF = ON + "+debugfs:sched/llc_balancing/enabled=0"


def plan_of(ref: str, shape: Topology, *globs: str) -> RunPlan:
    spec = Lab().fit(MachineSpec(topology=shape), needs_of("placement"))
    machine = machine_for(spec)
    arms = make_arms([kernel.parse_ref(ref)], aa=True)
    regions = select("placement", globs or ("spin",))
    part = Part(
        suite="placement",
        machine=spec,
        regions=planned_for(fitted(regions, shape)),
        metrics=metrics_for(regions),
        guest_sha256=machine.identity.guest_sha256,
        emulator_version=machine.identity.emulator_version,
        boots=1,
    )
    return make_plan(
        arms=arms,
        images={arm.name: image_of(str(arm.ref.base)) for arm in arms},
        kconfig_digests={},
        parts=(part,),
        seed=1,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def boot(ref: str, shape: Topology, *globs: str) -> TrialRecord:
    plan = plan_of(ref, shape, *globs)
    return run_trial(plan, plan.trials[0], machine_for(plan.parts[0].machine))


@lru_cache
def two_llc(ref: str) -> TrialRecord:
    return boot(ref, profiles.load("two-llc"), "spin", "single")


def values(record: TrialRecord, metric: str) -> list[float]:
    assert record.status is TrialStatus.OK, record.reason
    (samples,) = (s for s in record.samples if s.metric == metric)
    return [float(v) for v in samples.values]


def mean(record: TrialRecord, metric: str) -> float:
    found = values(record, metric)
    return sum(found) / len(found)


def test_the_feature_gathers_what_was_scattered():
    assert mean(two_llc(ON), "spin/scattered/locality") >= 0.9


@pytest.mark.parametrize("ref", [OLD, OFF])
def test_without_it_threads_stay_where_they_were(ref):
    assert mean(two_llc(ref), "spin/scattered/locality") <= 0.75


@pytest.mark.parametrize("ref", [OLD, ON, OFF])
def test_single_threads_are_left_alone(ref):
    assert mean(two_llc(ref), "single/control/locality") >= 0.9


def test_the_kernels_own_word_is_recorded():
    assert "enabling cache aware" in two_llc(ON).facts["cache_aware_line"]
    assert "disabling cache aware" in two_llc(OFF).facts["cache_aware_line"]
    assert two_llc(OLD).facts["cache_aware_enabled"] == ""


def test_equal_inputs_place_alike():
    again = boot(ON, profiles.load("two-llc"), "spin", "single")
    for samples in two_llc(ON).samples:
        assert values(again, samples.metric) == [float(v) for v in samples.values]


def test_pictures_show_every_thread():
    plays = json.loads(two_llc(ON).artifacts["placement"])["plays"]
    spin = [play for play in plays if play["region"] == "spin/scattered"]
    assert len(spin) == 3
    for play in spin:
        assert len(play["threads"]) == 4
        assert all(set(t["path"]) <= set("01.") and len(t["path"]) == 20 for t in play["threads"])


@pytest.mark.parametrize("name", ["epyc-like", "epyc-milan", "two-llc-smt"])
def test_a_profile_is_what_it_promises(name):
    shape = profiles.load(name)
    record = boot(ON, shape)
    assert record.status is TrialStatus.OK, record.reason
    assert record.facts["topology"]["last-level caches"] == list(shape.truth.llcs)


def test_a_profile_that_emulation_cannot_show_is_invalid_and_gives_no_number():
    # Under this model QEMU gives dies no cache of their own: one for each socket.
    told = replace(profiles.load("two-llc").emulator, cpu="EPYC-Milan")
    record = boot(ON, replace(profiles.load("two-llc"), emulator=told))
    assert record.status is TrialStatus.INVALID
    assert "the profile two-llc promises 0-5 | 6-11" in record.reason
    assert record.samples == ()


def test_a_panic_is_never_a_result():
    record = boot(ON + "+cmdline:rdinit=/nothing+cmdline:root=/dev/none", profiles.load("two-llc"))
    assert record.status is TrialStatus.PANICKED
    assert "panic" in record.reason.lower()
    assert record.samples == ()
