"""Server and client told apart by the counting core, against an independent model."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
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
    SERVICE,
    USER,
    Core,
    compile_core,
)
from kernleap.model.trial import BY_SIDE, EVERYTHING
from kernleap.probe.counted import read_counts, side_samples, to_profiles, to_samples
from kernleap.probe.counts_file import CountsError
from kernleap.probe.symbols import parse_kallsyms

SYSCALL, SWITCH, INTERRUPT = KERNEL + 0x40, KERNEL + 0x44, KERNEL + 0x48
EVENT_ADDRESSES = {SYSCALL: 0, SWITCH: 2, INTERRUPT: 4}
LOAD, RETURN = KERNEL + 0x5000, KERNEL + 0x6000
SWITCH_LOAD = b"\x48\x8b\xa6\x18\x14\x00\x00"
PID1, CLIENT = 0, 1

# A run of a task: plain kernel code, REP iterations, user code, system calls, interruptions.
step = st.tuples(st.sampled_from("kkruusi"), st.integers(0, 15), st.integers(1, 3))
run = st.tuples(st.integers(0, 5), st.lists(step, max_size=5))
operations = st.lists(st.lists(run, max_size=6), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_core(tmp_path_factory.mktemp("core") / "core.so")


@dataclass
class Account:
    """What one side did in one operation, outside interruptions."""

    user: int = 0
    syscalls: int = 0
    where: Counter[int] = field(default_factory=Counter)
    rep: Counter[int] = field(default_factory=Counter)


class Machine:
    """Runs tasks on the core, and keeps the books by the rule: whose user code ran, whole runs."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.running = -1
        self.server: set[int] = set()
        self.run = Account()
        self.books: list[dict[str, Account]] = []

    def side(self) -> str:
        if self.running == CLIENT:
            return "client"
        if self.run.user and self.running != PID1:
            self.server.add(self.running)
        return "server" if self.running in self.server else "rest"

    def close(self) -> None:
        """The run so far goes to its side in the open operation."""
        if self.books:
            mine = self.books[-1].setdefault(self.side(), Account())
            mine.user += self.run.user
            mine.syscalls += self.run.syscalls
            mine.where += self.run.where
            mine.rep += self.run.rep
        else:
            self.side()
        self.run = Account()

    def switch(self, task: int) -> None:
        if task == self.running:
            return
        self.core.run(LOAD, SWITCH_LOAD, reads=0xFFFF888000000000 + 0x4000 * task)
        self.run.where[LOAD] += 1
        self.close()
        self.running = task
        self.core.run(SWITCH)
        self.run.where[SWITCH] += 1

    def steps(self, steps: list[tuple[str, int, int]]) -> None:
        for kind, place, times in steps:
            for _ in range(times):
                self.step(kind, place)

    def step(self, kind: str, place: int) -> None:
        if kind == "u":
            self.core.run(USER + 0x1000)
            self.run.user += 1
        elif kind == "s":
            self.core.run(SYSCALL)
            self.run.where[SYSCALL] += 1
            self.run.syscalls += 1
        elif kind == "i":
            self.core.run(INTERRUPT)
            self.core.run(KERNEL + 0x7000 + 4 * place)
            self.core.run(RETURN, IRETQ)
        elif kind == "r":
            self.core.run(KERNEL + 0x100000 + 2 * place, REP_MOVSB)
            self.run.rep[KERNEL + 0x100000 + 2 * place] += 1
        else:
            self.core.run(KERNEL + 0x1000 + 64 * place)
            self.run.where[KERNEL + 0x1000 + 64 * place] += 1

    def mark(self, op: int) -> None:
        self.core.mark(op)
        self.run.user += 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=st.lists(run, max_size=6), plan=operations, after=st.lists(run, max_size=4))
def test_every_side_matches_a_model(
    library: Path,
    before: list[tuple[int, list[tuple[str, int, int]]]],
    plan: list[list[tuple[int, list[tuple[str, int, int]]]]],
    after: list[tuple[int, list[tuple[str, int, int]]]],
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        core = Core(library, Path(scratch))
        for place, event in EVENT_ADDRESSES.items():
            core.send(event, place)
        core.mark(ARM)
        machine = Machine(core)
        machine.switch(3)  # a task from before the service, which may go on or not
        machine.step("u", 0)
        machine.switch(PID1)
        machine.server.clear()
        machine.mark(SERVICE)
        for task, steps in before:
            if task != CLIENT:
                machine.switch(task)
                machine.steps(steps)
        machine.switch(CLIENT)
        machine.mark(BEGIN)
        machine.run = Account(user=1)
        machine.books = [{}]
        for runs in plan:
            for task, steps in runs:
                machine.switch(task)
                machine.steps(steps)
            machine.switch(CLIENT)
            core.mark(MARK)
            machine.close()
            machine.books.append({})
            machine.run = Account(user=1)
        for task, steps in after:  # of no operation: it must not leak into a profile
            machine.switch(task)
            machine.steps(steps)
        machine.switch(CLIENT)
        core.mark(END)
        got = read_counts(core.finish())
    assert not got.errors
    (region,) = got.regions
    assert region.operations == len(plan)
    books = machine.books[:-1]
    samples = {
        s.metric: s.values for s in (*to_samples("s/x", region), *side_samples("s/x", region))
    }
    for side in ("server", "client", "rest"):
        mine = [book.get(side, Account()) for book in books]
        for quantity, values in (
            ("kernel_instructions", [one.where.total() for one in mine]),
            ("user_instructions", [one.user for one in mine]),
            ("syscalls", [one.syscalls for one in mine]),
            ("switches", [one.where[SWITCH] for one in mine]),
        ):
            assert samples[f"s/x/{quantity}_of_{side}"].tolist() == values
    for quantity in ("kernel_instructions", "user_instructions", "syscalls", "switches", "wakeups"):
        parts = sum(samples[f"s/x/{quantity}_of_{side}"] for side in ("server", "client", "rest"))
        assert np.array_equal(parts, samples[f"s/x/{quantity}"])
    names = {LOAD, SWITCH, SYSCALL, *(KERNEL + 0x1000 + 64 * n for n in range(16))}
    names |= {KERNEL + 0x100000 + 2 * n for n in range(16)}
    table = parse_kallsyms("\n".join(f"{a:x} T f{a:x}" for a in sorted(names)).encode())
    profiles = {p.variant: p for p in to_profiles("s/x", region, table)}
    for side, number in BY_SIDE.items():
        total: Counter[str] = Counter()
        reps: Counter[str] = Counter()
        for book in books:
            one = book.get(side, Account())
            total.update({f"f{a:x}": n for a, n in one.where.items()})
            reps.update({f"f{a:x}": n for a, n in one.rep.items()})
        assert profiles[number].counts == total
        assert profiles[number].rep_counts == reps
        assert profiles[number].operations == len(plan)
    both = Counter(profiles[-2].counts) + Counter(profiles[-3].counts)
    assert all(both[name] <= n for name, n in profiles[EVERYTHING].counts.items())


def begun(library: Path, scratch: Path) -> Core:
    core = Core(library, scratch)
    core.send(2, SWITCH)
    core.mark(ARM)
    core.run(LOAD, SWITCH_LOAD, reads=0x1000)
    core.run(SWITCH)
    core.mark(SERVICE)
    core.mark(BEGIN)
    return core


def test_a_switch_without_its_load_spoils_the_region(library: Path, tmp_path: Path) -> None:
    core = begun(library, tmp_path)
    core.run(SWITCH)
    core.mark(MARK)
    core.mark(END)
    with pytest.raises(CountsError, match="cannot be told apart"):
        read_counts(core.finish())


def test_more_tasks_than_can_be_told_apart_are_an_error(library: Path, tmp_path: Path) -> None:
    core = begun(library, tmp_path)
    for task in range(1100):
        core.run(LOAD, SWITCH_LOAD, reads=0x2000 + 64 * task)
        core.run(SWITCH)
    core.mark(MARK)
    core.mark(END)
    assert read_counts(core.finish()).errors[0].startswith("too many tasks")


def test_no_service_no_sides(library: Path, tmp_path: Path) -> None:
    core = Core(library, tmp_path)
    core.mark(ARM)
    core.run(LOAD, SWITCH_LOAD, reads=0x1000)
    core.mark(BEGIN)
    core.run(LOAD, SWITCH_LOAD, reads=0x2000)
    core.run(KERNEL, NOP)
    core.mark(MARK)
    core.mark(END)
    (region,) = read_counts(core.finish()).regions
    assert region.sides == ()
    assert side_samples("s/x", region) == ()
    assert region.kernel.tolist() == [2]
