"""What is stored reads back equal, whatever it is."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.model.kernel import KernelRef, Modifier, ModifierKind
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.run import ArmInputs, Part, Region, RunPlan
from kernleap.model.trial import Arm, Profile, Samples, Trial, TrialRecord, TrialStatus
from kernleap.store.codec import decode, encode
from kernleap.store.schema import from_table, to_bytes

names = st.text(max_size=20)
numbers = st.floats(allow_nan=True, allow_infinity=True)
counts = st.dictionaries(names, st.integers(0, 2**53 - 1), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
trials = st.builds(
    Trial,
    id=names,
    arm=names,
    block=st.integers(0, 999),
    order=st.integers(0, 9999),
    seed=st.integers(0, 2**64 - 1),
)
samples = st.builds(
    Samples,
    metric=names,
    unit=names,
    values=st.lists(numbers, max_size=20).map(lambda v: np.array(v, dtype=np.float64)),
)
profiles = st.builds(
    Profile,
    region=names,
    variant=st.integers(-1, 100),
    operations=st.integers(0, 2**53 - 1),
    counts=counts,
    rep_counts=counts,
    events=st.dictionaries(names, st.floats(allow_nan=False), max_size=4),
)
seconds = st.floats(0, 1e6)
records = st.builds(
    TrialRecord,
    trial=trials,
    status=st.sampled_from(TrialStatus),
    # What a guest prints may be any bytes; surrogates carry those that are not UTF-8.
    reason=st.text(st.characters(), max_size=20),
    facts=st.dictionaries(names, json_values, max_size=4),
    samples=st.lists(samples, max_size=5).map(tuple),
    profiles=st.lists(profiles, max_size=5).map(tuple),
    artifacts=st.dictionaries(names, st.text(st.characters()), max_size=2),
    warnings=st.lists(names, max_size=3).map(tuple),
    cpu_seconds=seconds,
    wall_seconds=seconds,
    attempt=st.integers(1, 9),
)


def same(a: Samples, b: Samples) -> bool:
    equal = np.array_equal(a.values.view(np.int64), b.values.view(np.int64))
    nans = np.isnan(a.values) & np.isnan(b.values)
    return (a.metric, a.unit) == (b.metric, b.unit) and bool(
        equal or np.all(nans | (a.values == b.values))
    )


@settings(max_examples=150, deadline=None)
@given(records)
def test_a_trial_reads_back_equal(record):
    back = from_table(pq.read_table(pa.BufferReader(to_bytes(record))))
    for field in (
        "trial", "status", "reason", "facts", "profiles", "artifacts", "warnings",
        "cpu_seconds", "wall_seconds", "attempt",
    ):  # fmt: skip
        assert getattr(back, field) == getattr(record, field), field
    assert len(back.samples) == len(record.samples)
    assert all(same(a, b) for a, b in zip(back.samples, record.samples, strict=True))
    for a, b in zip(back.profiles, record.profiles, strict=True):
        assert list(a.counts) == list(b.counts)
        assert all(type(value) is int for value in a.counts.values())


@settings(max_examples=50, deadline=None)
@given(records)
def test_rows_say_the_same_as_the_record(record):
    """Other Parquet readers see only the rows: they must carry every number by name."""
    rows = pq.read_table(pa.BufferReader(to_bytes(record))).to_pylist()
    assert [(r["metric"], r["index"], r["unit"]) for r in rows if r["record"] == "sample"] == [
        (s.metric, n, s.unit) for s in record.samples for n in range(len(s.values))
    ]
    assert [
        (r["metric"], r["index"], r["label"], r["value"]) for r in rows if r["record"] == "function"
    ] == [
        (p.region, p.variant, name, float(count))
        for p in record.profiles
        for name, count in p.counts.items()
    ]


metrics = st.builds(
    Metric,
    name=names,
    unit=names,
    better=st.sampled_from(Better),
    grade=st.sampled_from(Grade),
    role=st.sampled_from(Role),
    aggregation=names,
    description=names,
)
modifiers = st.builds(
    Modifier, kind=st.sampled_from(ModifierKind), key=names, value=st.none() | names
)
arms = st.builds(
    Arm,
    name=names,
    ref=st.builds(
        KernelRef, source=names, name=names, modifiers=st.lists(modifiers, max_size=2).map(tuple)
    ),
    role=names,
)
inputs = st.builds(
    ArmInputs,
    arm=names,
    release=names,
    kernel_sha256=names,
    provenance=st.dictionaries(names, names, max_size=3),
    kconfig_sha256=names,
)
parts = st.builds(
    Part,
    suite=names,
    machine=st.builds(MachineSpec, settle_s=st.floats(0, 10), memory_mib=st.integers(1, 4096)),
    regions=st.lists(
        st.builds(Region, params=st.lists(st.integers(), max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    metrics=st.lists(metrics, max_size=3).map(tuple),
    guest_sha256=names,
    emulator_version=names,
    boots=st.integers(1, 99),
)
plans = st.builds(
    RunPlan,
    id=names,
    created=names,
    arms=st.lists(arms, max_size=3).map(tuple),
    trials=st.lists(trials, max_size=4).map(tuple),
    parts=st.lists(parts, max_size=2).map(tuple),
    inputs=st.lists(inputs, max_size=3).map(tuple),
    seed=st.integers(),
    command=st.lists(names, max_size=3).map(tuple),
    kernleap_version=names,
)


@settings(max_examples=100, deadline=None)
@given(plans)
def test_a_plan_reads_back_equal(plan):
    assert decode(RunPlan, encode(plan)) == plan


@given(st.floats())
def test_a_number_survives_json(value):
    back = decode(float, encode(value))
    assert back == value or (math.isnan(back) and math.isnan(value))
