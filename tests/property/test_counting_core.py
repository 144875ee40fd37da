"""The counting core against an independent model: every count, every variant, exactly."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counting_core import (
    ARM,
    BEGIN,
    END,
    IRETQ,
    KERNEL,
    MARK,
    NOP,
    REP_MOVSB,
    RESUME,
    USER,
    Core,
    compile_core,
)
from kernleap.probe.counted import read_counts, to_profiles, to_samples
from kernleap.probe.symbols import parse_kallsyms

EVENT_ADDRESSES = {
    KERNEL + 0x40: 0,
    KERNEL + 0x80: 1,
    KERNEL + 0x84: 1,
    KERNEL + 0x88: 4,
    KERNEL + 0x8C: 5,
    KERNEL + 0xC0: 7,
}
SCHEDULES, INTERRUPTS, FAULTS, IPIS = 1, 4, 5, 7
USER_PLAIN = USER + 0x1000
CODE = {"k": NOP, "r": REP_MOVSB, "i": IRETQ}

Step = tuple[str, int, int]
Piece = tuple[int, int]

# Kernel instructions, REP iterations, interrupt returns and user instructions. The address space
# is small so that operations share lines and signatures collide: equal totals over different
# addresses are the hard case. Entries and returns come in any order: that they nest is nothing
# the core may rely on.
anything = st.tuples(st.sampled_from("krriu"), st.integers(0, 63), st.integers(1, 4))
entry = st.tuples(st.just("k"), st.sampled_from([0x20, 0x22, 0x23, 0x30]), st.integers(1, 2))
back = st.tuples(st.just("i"), st.integers(0, 2), st.integers(1, 2))
path = st.lists(st.one_of(anything, entry, back), max_size=8)
# An operation is a path, and before it perhaps another (not -1) that belongs to none.
pieces = st.tuples(st.integers(0, 5), st.integers(-1, 5))
regions = st.lists(st.lists(pieces, max_size=25), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_core(tmp_path_factory.mktemp("core") / "core.so")


def address(kind: str, place: int) -> int:
    # Far apart enough to spread over many lines and blocks.
    return KERNEL + {"k": place * 4, "r": 0x100000 + place * 2, "i": 0x200000 + place * 64}[kind]


def execute(core: Core, steps: list[Step]) -> None:
    for kind, place, times in steps:
        for _ in range(times):
            if kind == "u":
                core.run(USER_PLAIN)
            else:
                core.run(address(kind, place), CODE[kind])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(paths=st.lists(path, min_size=6, max_size=6), plan=regions)
def test_every_count_matches_a_model(
    library: Path, paths: list[list[Step]], plan: list[list[Piece]]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        core = Core(library, Path(scratch))
        for place, event in EVENT_ADDRESSES.items():
            core.send(event, place)
        core.mark(ARM)
        for operations in plan:
            execute(core, paths[0])  # outside any region: must not leak into one
            core.mark(BEGIN)
            for operation, uncounted in operations:
                if uncounted >= 0:
                    execute(core, paths[uncounted])
                    core.mark(RESUME)
                execute(core, paths[operation])
                core.mark(MARK)
            execute(core, paths[1])  # after the last MARK: belongs to no operation
            core.mark(END)
        got = read_counts(core.finish())
    assert not got.errors
    assert got.event_addresses == len(EVENT_ADDRESSES)
    assert len(got.regions) == len(plan)
    for region, operations in zip(got.regions, plan, strict=True):
        expected = [model(paths[o]) for o, _ in operations]
        assert [
            (int(k), int(r), int(i), tuple(int(n) for n in e))
            for k, r, i, e in zip(
                region.kernel, region.rep, region.interrupt, region.events, strict=True
            )
        ] == [(e.kernel, e.rep, e.interrupt, e.events) for e in expected]
        # Every operation's user count holds one marker, that which it began with.
        assert region.user.tolist() == [e.user + 1 for e in expected]
        ran = {0, 1, *(i for pair in operations for i in pair if i >= 0)}
        assert bool(region.warnings) == any(model(paths[i]).depth for i in ran)
        by_variant: dict[tuple[int, int, tuple[int, ...]], Counter[tuple[bool, int]]] = {}
        sizes: Counter[tuple[int, int, tuple[int, ...]]] = Counter()
        for e in expected:
            key = (e.kernel, e.rep, tuple(e.events[i] for i in (0, 1, 2, 3, 5, 6)))
            by_variant.setdefault(key, Counter()).update(e.where)
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


@dataclass
class Expected:
    """What an operation must count, and how deep in an interruption it ends."""

    user: int = 0
    interrupt: int = 0
    depth: int = 0
    where: Counter[tuple[bool, int]] = field(default_factory=Counter)
    counted: Counter[int] = field(default_factory=Counter)

    @property
    def kernel(self) -> int:
        return sum(n for (repeat, _), n in self.where.items() if not repeat)

    @property
    def rep(self) -> int:
        return sum(n for (repeat, _), n in self.where.items() if repeat)

    @property
    def events(self) -> tuple[int, ...]:
        return tuple(self.counted[i] for i in range(8))


def model(steps: list[Step]) -> Expected:
    """An operation instruction by instruction, worked out without the core."""
    result = Expected()
    for kind, place, times in steps:
        for _ in range(times):
            one_instruction(result, kind, place)
    return result


def one_instruction(result: Expected, kind: str, place: int) -> None:
    if kind == "u":
        result.user += 1
        return
    at = address(kind, place)
    event = EVENT_ADDRESSES.get(at)
    if event == SCHEDULES:
        result.depth = 0
    if event in (INTERRUPTS, IPIS) or (event == FAULTS and result.depth):
        result.depth += 1
    if result.depth:
        result.interrupt += 1
        if event in (INTERRUPTS, FAULTS, IPIS):
            result.counted[event] += 1
    else:
        result.where[kind == "r", at] += 1
        if event is not None:
            result.counted[event] += 1
    if kind == "i" and result.depth:
        result.depth -= 1


def test_an_interrupted_operation_is_like_one_that_was_not(library: Path, tmp_path: Path) -> None:
    """A tick in the middle is in neither its counts nor its profile."""
    core = Core(library, tmp_path)
    for place, event in EVENT_ADDRESSES.items():
        core.send(event, place)
    core.mark(ARM)
    core.mark(BEGIN)
    tick = [("k", 0x22, 1), ("k", 7, 3), ("k", 0x30, 1), ("i", 0, 1), ("r", 1, 2), ("i", 0, 1)]
    for i in range(10):
        execute(core, [("k", 1, 5), ("r", 1, 4)])
        if i == 3:
            execute(core, tick)
        execute(core, [("k", 1, 2), ("k", 2, 1)])
        core.mark(MARK)
    core.mark(END)
    region = read_counts(core.finish()).regions[0]
    assert region.warnings == ()
    assert region.variants_seen == 1
    assert region.kernel.tolist() == [8] * 10
    assert region.rep.tolist() == [4] * 10
    assert region.interrupt.tolist() == [0, 0, 0, 9, 0, 0, 0, 0, 0, 0]
    assert region.events[:, INTERRUPTS].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    table = parse_kallsyms(f"{KERNEL:016x} T path\n{KERNEL + 7 * 4:016x} T tick\n".encode())
    assert to_profiles("x/1p", region, table)[-1].counts == {"path": 80}


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
