"""The counting core's protocol and refusals, and the strict reader of its file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counting_core import (
    ARM,
    BEGIN,
    END,
    KERNEL,
    MARK,
    SEND,
    SERVICE,
    USER,
    Core,
    compile_core,
    marker,
)
from kernleap.model.errors import InfrastructureError
from kernleap.probe.counted import CountsError, read_counts, to_profiles
from kernleap.probe.symbols import UNKNOWN, fold, parse_kallsyms


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_core(tmp_path_factory.mktemp("core") / "core.so")


def boot(library: Path, scratch: Path, *ops: int) -> tuple[str, ...]:
    core = Core(library, scratch)
    for op in ops:
        core.mark(op)
    return read_counts(core.finish()).errors


@pytest.mark.parametrize(
    ("ops", "complaint"),
    [
        ((BEGIN,), "before counting was armed"),
        ((ARM, BEGIN, BEGIN), "inside another"),
        ((ARM, MARK), "outside a region"),
        ((ARM, END), "had not begun"),
        ((ARM, ARM), "armed twice"),
        ((ARM, SEND), "after arming"),
        ((SEND, SEND), "lost a piece"),
        ((SERVICE,), "service was started before"),
        ((ARM, BEGIN, MARK), "ended inside a region"),
    ],
)
def test_protocol_errors_are_recorded(
    library: Path, tmp_path: Path, ops: tuple[int, ...], complaint: str
) -> None:
    assert complaint in boot(library, tmp_path, *ops)[0]


@pytest.mark.parametrize(
    ("event", "address", "complaint"),
    [(8, KERNEL, "unknown event"), (0, USER, "outside the kernel")],
)
def test_bad_messages_are_recorded(
    library: Path, tmp_path: Path, event: int, address: int, complaint: str
) -> None:
    core = Core(library, tmp_path)
    core.send(event, address)
    assert complaint in read_counts(core.finish()).errors[0]


def test_unarmed_boot_counts_nothing(library: Path, tmp_path: Path) -> None:
    core = Core(library, tmp_path)
    core.run(KERNEL)
    counted = read_counts(core.finish())
    assert not counted.armed
    assert counted.regions == ()
    assert set(counted.totals.values()) == {0}


def test_only_exact_markers_in_user_space_count(library: Path, tmp_path: Path) -> None:
    core = Core(library, tmp_path)
    core.mark(ARM)
    core.run(KERNEL + 0x100, marker(BEGIN))
    for code in (b"\x0f\x1f\x80\0\0\0\0", marker(BEGIN)[:-1] + b"\x4c", marker(8), marker(0)):
        core.run(USER + 0x900, code)
    counted = read_counts(core.finish())
    assert counted.errors == ()
    assert counted.regions == ()
    assert counted.totals["kernel"] == 1
    assert counted.totals["user"] == 4


@pytest.mark.parametrize(
    ("code", "repeats"),
    [
        ("f3a4", True),
        ("f348ab", True),
        ("f2ae", True),
        ("66f3a5", True),
        ("f365a4", True),
        ("f36c", True),
        ("f390", False),  # pause
        ("a4", False),
        ("f30fb8c0", False),  # popcnt
        ("f3c3", False),  # rep ret
        ("f3", False),
    ],
)
def test_repeated_string_instructions_are_told_apart(
    library: Path, tmp_path: Path, code: str, repeats: bool
) -> None:
    core = Core(library, tmp_path)
    core.mark(ARM)
    core.run(KERNEL, bytes.fromhex(code))
    totals = read_counts(core.finish()).totals
    assert (totals["rep"], totals["kernel"]) == ((1, 0) if repeats else (0, 1))


ARM_NOP = bytes.fromhex("1f2003d5")
ARM_ERET = bytes.fromhex("e0039fd6")


def test_arm64_interrupts_end_with_eret_and_hold_their_ipis(library: Path, tmp_path: Path) -> None:
    interrupt, fault, ipi = KERNEL + 0x100, KERNEL + 0x200, KERNEL + 0x300
    core = Core(library, tmp_path, target=b"aarch64")
    for event, place in ((4, interrupt), (5, fault), (7, ipi)):
        core.send(event, place)
    core.mark(ARM)
    core.mark(BEGIN)
    for hit in (False, True):
        core.run(KERNEL, ARM_NOP)
        if hit:
            core.run(interrupt, ARM_NOP)
            core.run(ipi, ARM_NOP)  # no entry of its own: no return of its own either
            core.run(fault, ARM_NOP)
            core.run(KERNEL + 0x400, ARM_ERET)  # of the fault
            core.run(KERNEL + 0x404, ARM_NOP)
            core.run(KERNEL + 0x400, ARM_ERET)
        core.run(KERNEL + 0x500, ARM_ERET)  # a system call's: ends no interruption
        core.mark(MARK)
    core.mark(END)
    counted = read_counts(core.finish())
    assert (counted.target, counted.errors, counted.event_addresses) == ("aarch64", (), 3)
    (region,) = counted.regions
    assert region.warnings == ()
    assert region.kernel.tolist() == [2, 2]
    assert region.interrupt.tolist() == [0, 6]
    assert [region.events[1, i] for i in (4, 5, 7)] == [1, 1, 1]


@pytest.mark.parametrize(
    "code",
    [
        "1f60c9d2",  # movz xzr, #0x4b00: no operation
        "ff7fc9d2",  # operation 255: none
        "3f6089d2",  # not shifted by 32
        "2160c9d2",  # another register
        "3f608952",  # the 32-bit form
    ],
)
def test_what_only_looks_like_a_marker_of_arm64_is_none(
    library: Path, tmp_path: Path, code: str
) -> None:
    core = Core(library, tmp_path, target=b"aarch64")
    core.run(USER, bytes.fromhex(code))
    core.run(KERNEL, marker(ARM, b"aarch64"))  # the kernel's own code never marks
    assert not read_counts(core.finish()).armed
    assert marker(1, b"aarch64").hex() == "3f60c9d2"


@pytest.mark.parametrize(
    "options",
    [
        {"vcpus": 2},
        {"system": False},
        {"target": b"s390x"},
        {"args": ()},
        {"args": ("out=",)},
        {"args": ("out=/nonexistent/x",)},
        {"args": ("out=/dev/full",)},
        {"args": ("out=x", "y=z")},
    ],
)
def test_refuses_what_it_cannot_count(
    library: Path, tmp_path: Path, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert not Core(library, tmp_path, **options).accepted  # type: ignore[arg-type]
    assert capfd.readouterr().err.startswith("kernleap: cannot ")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from counting_core import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
core = Core(Path(sys.argv[1]), Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
core.mark(ARM)
for _ in range(20):
    core.mark(BEGIN)
    core.run(KERNEL)
    core.mark(MARK)
    core.mark(END)
core.finish()
"""


def test_full_disk_leaves_a_file_that_is_refused(library: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, library, tmp_path, *sys.path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("kernleap: cannot write counts: File too large") == 1
    with pytest.raises(CountsError, match="ends early"):
        read_counts(tmp_path / "counts")


@pytest.fixture(scope="module")
def good(library: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small but complete counts file: three variants, REP iterations, events, a message."""
    core = Core(library, tmp_path_factory.mktemp("good"))
    core.send(1, KERNEL)
    core.mark(ARM)
    for _ in range(2):
        core.mark(BEGIN)
        for i in range(12):
            for j in range(1 + i % 3):
                core.run(KERNEL + 4 * j)
                core.run(KERNEL + 0x800, b"\xf3\xa4")
            core.mark(MARK)
        core.mark(END)
    return core.finish().read_bytes()


def test_every_truncation_is_refused(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "counts"
    path.write_bytes(good)
    read_counts(path)
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(CountsError):
            read_counts(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(CountsError, match="follows the trailer"):
        read_counts(path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_harmless(good: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """Flipped bytes never crash the reader, and what it accepts still adds up."""
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(good) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "counts"
    path.write_bytes(damaged)
    try:
        counted = read_counts(path)
    except CountsError:
        return
    for region in counted.regions:
        slots = sum(int(v.counts.sum()) for v in (*region.variants, region.rest))
        assert slots == int(region.kernel.sum()) + int(region.rep.sum())


def test_missing_file_is_an_infrastructure_error(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot be read"):
        read_counts(tmp_path / "none")


def test_profiles_name_functions_and_add_up(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "counts"
    path.write_bytes(good)
    table = parse_kallsyms(
        f"{KERNEL:016x} T first\n{KERNEL + 4:016x} t second.isra.0\n"
        f"{KERNEL + 8:016x} t second.cold\n".encode()
    )
    profiles = to_profiles("w/1p", read_counts(path).regions[0], table)
    assert [(p.variant, p.operations) for p in profiles] == [(0, 4), (1, 4), (2, 4), (-1, 12)]
    assert profiles[1].counts == {"first": 4, "second": 4}
    assert profiles[2].counts == {"first": 4, "second": 8}
    assert profiles[2].rep_counts == {"second": 12}
    assert profiles[-1].counts == {"first": 12, "second": 12}
    assert profiles[-1].events["schedules"] == 1.0


@pytest.mark.parametrize(
    ("symbol", "function"),
    [
        ("vfs_read", "vfs_read"),
        ("foo.isra.0", "foo"),
        ("foo.constprop.0.isra.0.cold", "foo"),
        ("foo.llvm.1234567890123", "foo"),
        ("foo.part.12", "foo"),
        ("__pfx_foo.cold", "foo"),
        ("foo.slowpath", "foo.slowpath"),
        (".cold", ".cold"),
        ("__pfx_", "__pfx_"),
    ],
)
def test_compilers_suffixes_fold_into_the_function(symbol: str, function: str) -> None:
    assert fold(symbol) == function


def test_aliases_are_chosen_by_rule_not_by_order() -> None:
    lines = [
        b"ffffffff81000000 T _stext",
        b"ffffffff81000000 t local",
        b"ffffffff81000000 T __shared_longer",
        b"ffffffff81000000 T __shared",
        b"ffffffff81000000 W weak",
        b"ffffffff81000000 D data",
    ]
    for order in (lines, lines[::-1]):
        table = parse_kallsyms(b"\n".join(order))
        assert table.functions(
            np.array([2**64 - 2**31 + 0x1000000], dtype=np.uint64), np.array([3], dtype=np.uint64)
        ) == {"__shared": 3}


def test_addresses_outside_functions_are_unknown() -> None:
    table = parse_kallsyms(b"ffffffff81000010 T f\nffffffff81000020 D table\n")
    base = 0xFFFFFFFF81000000
    addresses = np.array([0, base, base + 0x10, base + 0x1F, base + 0x20], dtype=np.uint64)
    counts = np.array([1, 2, 4, 8, 2**63], dtype=np.uint64)
    assert table.functions(addresses, counts) == {UNKNOWN: 3 + 2**63, "f": 12}


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe" * 1000, b"0000000000000000 T f\n", b"ffffffff81000000 D only_data\n"],
)
def test_tables_without_functions_are_refused(text: bytes) -> None:
    with pytest.raises(InfrastructureError, match="names no kernel function"):
        parse_kallsyms(text)


def test_oversized_tables_are_refused() -> None:
    with pytest.raises(InfrastructureError, match="more than"):
        parse_kallsyms(b"\n" * ((64 << 20) + 1))


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_garbage_lines_are_counted_not_guessed_at(garbage: bytes) -> None:
    table = parse_kallsyms(b"ffffffff81000000 T anchor\n" + garbage)
    assert "anchor" in table.names
    assert all(name.isprintable() for name in table.names)
