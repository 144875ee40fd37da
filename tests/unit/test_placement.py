"""Placement without boots: sizes that keep the kernel's conditions, and what guests say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kernleap.guest.channel import ChannelError, Records
from kernleap.guest.plan import placed_plan
from kernleap.kernel import parse_ref
from kernleap.machine import profiles
from kernleap.machine.collect import InvalidTrial
from kernleap.machine.placed import collect_plays
from kernleap.model.errors import UsageError
from kernleap.model.metric import Grade
from kernleap.model.run import Region as PlannedRegion
from kernleap.probe.placement import (
    converged_ms,
    disagreement,
    locality,
    quantities,
    read_plays,
    whereabouts,
)
from kernleap.workload import fitted, metrics_for, planned_for, select
from kernleap.workload.placement import PLACEMENT, QUANTITIES, WORKLOADS, sized
from kernleap.workload.placement.region import CAPACITY, HALF_BUSY, Size

SHAPES = [name for name in profiles.names() if name != "arm-like"]


@pytest.mark.parametrize("name", SHAPES)
def test_scattered_workloads_keep_the_conditions_of_the_feature(name):
    shape = profiles.load(name)
    smt, cpus, caches = shape.emulator.threads, shape.llc_cpus, len(shape.truth.llcs)
    for region in (r for r in WORKLOADS if r.size is Size.FITS):
        size = sized(region, shape)
        assert size.threads >= 2
        assert size.threads * smt < CAPACITY * cpus
        assert size.groups <= caches
        assert size.threads < HALF_BUSY * cpus


@pytest.mark.parametrize("name", SHAPES)
def test_controls_break_them(name):
    shape = profiles.load(name)
    sizes = {r.size: sized(r, shape) for r in WORKLOADS if r.form == "control"}
    assert sizes[Size.CROWD].threads >= CAPACITY * shape.llc_cpus
    assert sizes[Size.SINGLE].threads == 1
    assert {r.size for r in WORKLOADS if r.form == "control"} == {Size.CROWD, Size.SINGLE}


def test_a_shape_with_one_cache_has_nothing_to_place():
    with pytest.raises(UsageError, match="single last-level cache"):
        planned_for(fitted(WORKLOADS, profiles.load("arm-like")))


def test_caches_too_small_for_the_conditions_are_refused():
    text = profiles.to_toml(profiles.load("two-llc"))
    for old, new in (("cores = 6", "cores = 4"), ("0-5", "0-3"), ("6-11", "4-7"), ("0-11", "0-7")):
        text = text.replace(old, new)
    small = profiles.parse(text, "small", "small.toml")
    with pytest.raises(UsageError, match="too small for spin/scattered"):
        planned_for(fitted(WORKLOADS, small))


def test_the_plan_plays_each_workload_as_often_as_it_says():
    regions = planned_for(fitted(select(PLACEMENT, ["spin", "single"]), profiles.load("two-llc")))
    ref = parse_ref("debian:7.2+debugfs:sched/llc_balancing/enabled=0+cmdline:quiet")
    text = placed_plan(seed=5, settle_s=0.5, modifiers=ref.modifiers, regions=regions)
    assert text.splitlines() == [
        "seed 5",
        "knob debugfs\tsched/llc_balancing/enabled\t0",
        "settle 0.5",
        "processors",
        *["place spin/scattered spin 2 2 200 1000"] * 3,
        *["place single/control spin 4 1 200 1000"] * 2,
    ]


def test_metrics_are_of_their_own_grade_and_judge_by_locality():
    metrics = metrics_for(WORKLOADS)
    assert {m.grade for m in metrics} == {Grade.PLACED}
    assert {m.quantity for m in metrics if m.better != "neither"} == {"locality"}
    assert {m.quantity for m in metrics} == {q.name for q in QUANTITIES}


# Records as a guest writes them: two processes of two threads on four CPUs, two caches.

LLC = {0: 0, 1: 0, 2: 1, 3: 1}


def says(where: dict[int, list[int]], traced=None, status: str = "ok", **head) -> Records:
    """`where`: by seat, the CPU it ran on in each of eight bins of 50 ms (-1: slept)."""
    items = [
        {
            "type": "seat", "region": 0, "seat": seat, "process": seat // 2, "thread": seat % 2,
            "role": "spin", "tid": 100 + seat, "handoffs": 10, "crossings": 4,
        }
        for seat in where
    ]  # fmt: skip
    for seat, path in where.items():
        time = [n for b, cpu in enumerate(path) if cpu >= 0 for n in (b, cpu, 50_000)]
        items.append({"type": "where", "region": 0, "seat": seat, "time": time})
    rows = traced or [
        [100 + seat, cpu, 50_000_000]
        for seat, path in where.items()
        for cpu in path[4:]
        if cpu >= 0
    ]
    items += [
        {"type": "traced", "region": 0, "what": "runtime", "rows": [*rows, [999, 0, 10**9]]},
        {"type": "traced", "region": 0, "what": "migrations", "rows": [[0, 1, 3], [0, 2, 1]]},
        {"type": "traced", "region": 0, "what": "wakeups", "rows": [[0, 3, 1], [2, 3, 3]]},
        {
            "type": "watched", "region": 0, "instants": 4, "runnable": 16, "queued": 4,
            "half_ns": 200_000_000, "full_ns": 400_000_000, "untraced": "",
        },
        {
            "type": "placement", "region": 0, "name": "spin/scattered", "bins": 8, "bin_ms": 50,
            "seats": len(where), "status": status, "why": "the threads did not start", **head,
        },
    ]  # fmt: skip
    return Records(tuple(items))


SPLIT = {0: [0] * 8, 1: [2] * 8, 2: [1] * 8, 3: [3] * 8}
GATHERED = {0: [0] * 8, 1: [2, 2, 1, 1, 1, 1, 1, 1], 2: [3] * 8, 3: [2] * 8}


def play(where, **more):
    (found,) = read_plays(says(where, **more), cpus=4)
    return found


def test_locality_tells_split_from_gathered():
    assert locality(play(SPLIT), LLC, 4, 8) == 0.5
    assert locality(play(GATHERED), LLC, 4, 8) == 1.0
    assert locality(play(GATHERED), LLC, 0, 2) == 0.75


def test_locality_weighs_processes_by_their_time():
    idle = {**SPLIT, 2: [-1] * 8, 3: [-1] * 7 + [3]}
    assert locality(play(idle), LLC, 4, 8) == pytest.approx((4 + 1) / 9)


def test_quantities_follow_from_the_records():
    found = quantities(play(GATHERED), LLC)
    assert found == {
        "locality": 1.0,
        "converged": 100.0,
        "imbalance": 1.0,
        "queued": 0.25,
        "handoffs_across": 0.4,
        "migrations_within": 15.0,
        "migrations_across": 5.0,
        "wakeups_across": 0.25,
    }


def test_what_is_never_gathered_converges_at_the_end_of_the_window():
    assert converged_ms(play(SPLIT), LLC) == 400.0


def test_threads_and_trace_that_agree_are_no_distance_apart():
    assert disagreement(play(GATHERED), LLC) == 0.0


def test_a_trace_that_contradicts_the_threads_is_seen():
    rows = [[100, 0, 10], [101, 2, 10], [102, 3, 10], [103, 1, 10]]
    assert disagreement(play(GATHERED, traced=rows), LLC) == 0.5


def test_threads_that_never_ran_have_no_locality():
    assert "locality" not in quantities(play({0: [-1] * 8, 1: [-1] * 8}), LLC)


def test_whereabouts_draw_a_path_for_each_thread():
    rows = whereabouts(play(GATHERED), LLC)
    assert [row["path"] for row in rows] == ["00000000", "11000000", "11111111", "11111111"]
    assert whereabouts(play({0: [0, -1] * 4}), LLC)[0]["path"] == "0." * 4


@pytest.mark.parametrize(
    "records",
    [
        says(SPLIT, status="failed"),
        says(SPLIT, seats=5),
        says({0: [9] * 8}),
        says(SPLIT, bins="many"),
        Records(tuple(r for r in says(SPLIT).items if r["type"] != "watched")),
    ],
)
def test_garbled_or_failed_plays_are_errors(records):
    with pytest.raises(ChannelError):
        read_plays(records, cpus=4)


def test_time_of_a_bin_on_two_cpus_adds_up():
    two = says({0: [0] * 8})
    more = {"type": "where", "region": 0, "seat": 0, "time": [4, 2, 50_000]}
    (found,) = read_plays(Records((*two.items, more)), cpus=4)
    assert np.isclose(locality(found, LLC, 4, 5), 0.5)


# A whole boot: checked against the plan, and threads against the trace.


def collected(records: Records, plays: int = 1):
    shape = replace(profiles.load("two-llc"), name="tiny")
    region = PlannedRegion("spin/scattered", "spin", "scattered", 400, 200, (2, 2, plays))
    warnings: list[str] = []
    samples, text = collect_plays(shape, (region,), records, warnings)
    return samples, json.loads(text), warnings


def two_llc(path: list[int]) -> list[int]:
    """CPUs of the second cache of two-llc are 6 to 11; of `LLC` above, 2 and 3."""
    return [cpu + 4 if cpu >= 2 else cpu for cpu in path]


def big(where, **more) -> Records:
    return says({seat: two_llc(path) for seat, path in where.items()}, **more)


def test_a_boot_gives_samples_and_a_picture():
    samples, picture, warnings = collected(big(GATHERED))
    assert {s.metric: list(s.values) for s in samples}["spin/scattered/locality"] == [1.0]
    assert picture["llcs"] == ["0-5", "6-11"]
    assert [len(play["threads"]) for play in picture["plays"]] == [4]
    assert warnings == []


def test_threads_and_trace_that_contradict_each_other_are_no_result():
    rows = [[100, 0, 10], [101, 6, 10], [102, 7, 10], [103, 1, 10]]
    with pytest.raises(InvalidTrial, match="disagree on locality"):
        collected(big(GATHERED, traced=rows))


def test_a_smaller_difference_is_a_warning():
    rows = [[100, 0, 85], [101, 0, 100], [102, 7, 100], [103, 6, 100], [100, 6, 60]]
    _, _, warnings = collected(big(GATHERED, traced=rows))
    assert warnings == ["spin/scattered: locality of threads and trace are 0.13 apart"]


def test_a_boot_that_played_another_number_of_times_is_invalid():
    with pytest.raises(InvalidTrial, match="played 1 times, not 3"):
        collected(big(GATHERED), plays=3)


def test_threads_that_never_ran_are_no_result():
    with pytest.raises(InvalidTrial):
        collected(big({0: [-1] * 8, 1: [-1] * 8}))
