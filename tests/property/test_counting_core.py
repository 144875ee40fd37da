"""The counting core against an independent model: every count, every variant, exactly."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counting_core import ARM, BEGIN, END, KERNEL, MARK, NOP, REP_MOVSB, USER, Core, compile_core
from kernleap.probe.counted import read_counts, to_profiles, to_samples
from kernleap.probe.symbols import parse_kallsyms

EVENT_ADDRESSES = {KERNEL + 0x40: 0, KERNEL + 0x80: 1, KERNEL + 0x84: 1, KERNEL + 0xC0: 7}
USER_PLAIN = USER + 0x1000

# An operation is a multiset of kernel instructions, REP iterations and user instructions. The
# address space is small so that operations share lines and signatures collide: equal totals
# over different addresses are the hard case.
step = st.tuples(st.sampled_from("krru"), st.integers(0, 63), st.integers(1, 4))
path = st.lists(step, max_size=6)
regions = st.lists(st.lists(st.integers(0, 5), max_size=25), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_core(tmp_path_factory.mktemp("core") / "core.so")


def address(kind: str, place: int) -> int:
    # Far apart enough to spread over many lines and blocks.
    return KERNEL + place * 4 if kind == "k" else KERNEL + 0x100000 + place * 2


def execute(core: Core, steps: list[tuple[str, int, int]]) -> None:
    for kind, place, times in steps:
        for _ in range(times):
            if kind == "u":
                core.run(USER_PLAIN)
            else:
                core.run(address(kind, place), REP_MOVSB if kind == "r" else NOP)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(paths=st.lists(path, min_size=6, max_size=6), plan=regions)
def test_every_count_matches_a_model(
    library: Path, paths: list[list[tuple[str, int, int]]], plan: list[list[int]]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        core = Core(library, Path(scratch))
        for entry, event in EVENT_ADDRESSES.items():
            core.send(event, entry)
        core.mark(ARM)
        for operations in plan:
            execute(core, paths[0])  # outside any region: must not leak into one
            core.mark(BEGIN)
            for operation in operations:
                execute(core, paths[operation])
                core.mark(MARK)
            execute(core, paths[1])  # after the last MARK: belongs to no operation
            core.mark(END)
        got = read_counts(core.finish())
    assert not got.errors
    assert got.event_addresses == len(EVENT_ADDRESSES)
    assert len(got.regions) == len(plan)
    for region, operations in zip(got.regions, plan, strict=True):
        expected = [model(paths[o]) for o in operations]
        assert [
            (int(k), int(r), tuple(int(n) for n in e))
            for k, r, e in zip(region.kernel, region.rep, region.events, strict=True)
        ] == [(e["kernel"], e["rep"], e["events"]) for e in expected]
        # Every operation's user count holds one marker: its own MARK, or BEGIN for the first.
        assert region.user.tolist() == [e["user"] + 1 for e in expected]
        by_variant: dict[tuple[object, ...], Counter[tuple[bool, int]]] = {}
        sizes: Counter[tuple[object, ...]] = Counter()
        for e in expected:
            key = (e["kernel"], e["rep"], e["events"])
            by_variant.setdefault(key, Counter()).update(e["where"])
            sizes[key] += 1
        order = sorted(sizes, key=lambda k: (-sizes[k], list(by_variant).index(k)))
        assert region.variants_seen == len(order) == len(region.variants)
        assert region.rest.operations == 0
        for key, variant in zip(order, region.variants, strict=True):
            assert variant.operations == sizes[key]
            counts = {
                (bool(region.repeats[p]), int(region.addresses[p])): int(n)
                for p, n in zip(variant.places, variant.counts, strict=True)
            }
            assert counts == dict(by_variant[key])


def model(steps: list[tuple[str, int, int]]) -> dict[str, object]:
    """What an operation must count, worked out without the core."""
    where: Counter[tuple[bool, int]] = Counter()
    events = [0] * 8
    user = 0
    for kind, place, times in steps:
        if kind == "u":
            user += times
            continue
        where[kind == "r", address(kind, place)] += times
        event = EVENT_ADDRESSES.get(address(kind, place))
        if event is not None:
            events[event] += times
    return {
        "kernel": sum(n for (repeat, _), n in where.items() if not repeat),
        "rep": sum(n for (repeat, _), n in where.items() if repeat),
        "user": user,
        "events": tuple(events),
        "where": where,
    }


def test_more_variants_than_are_kept(library: Path, tmp_path: Path) -> None:
    """600 operations, all different but for a common one: 16 are kept, all are accounted for."""
    core = Core(library, tmp_path)
    core.mark(ARM)
    core.mark(BEGIN)
    for i in range(600):
        for _ in range(i + 1):
            core.run(KERNEL + 64 * i)
        core.mark(MARK)
        core.run(KERNEL + 4)
        core.mark(MARK)
    core.mark(END)
    region = read_counts(core.finish()).regions[0]
    # `i = 0` runs one instruction at another address than the common operation, yet counts
    # the same: one variant of 601 operations.
    assert region.variants[0].operations == 601
    assert region.variants_seen == 512
    assert len(region.variants) == 16
    assert region.rest.operations == 1200 - 601 - 15
    assert any("too many different" in w for w in region.warnings)
    table = parse_kallsyms(f"{KERNEL:016x} T all\n".encode())
    everything = to_profiles("x/1p", region, table)[-1]
    assert everything.counts == {"all": sum(range(1, 601)) + 600}
    assert everything.operations == 1200
    samples = {s.metric: s for s in to_samples("x/1p", region)}
    assert samples["x/1p/kernel_instructions"].values.sum() == sum(range(1, 601)) + 600


def test_operations_beyond_the_bound_are_dropped_and_said(library: Path, tmp_path: Path) -> None:
    core = Core(library, tmp_path)
    core.mark(ARM)
    core.mark(BEGIN)
    for _ in range(65536 + 3):
        core.run(KERNEL)
        core.mark(MARK)
    core.mark(END)
    core.mark(BEGIN)
    core.run(KERNEL)
    core.mark(MARK)
    core.mark(END)
    first, second = read_counts(core.finish()).regions
    assert first.operations == 65536
    assert any("65536" in w for w in first.warnings)
    assert second.kernel.tolist() == [1]
    assert second.warnings == ()
