"""Knobs of the running kernel: set, read back, put back on any exit, SIGKILL included."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kernleap.machine.knob_file import path_of, text_before
from kernleap.machine.knob_host import host_knobs, recover
from kernleap.machine.knob_journal import Journal, KnobFact
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Modifier, ModifierKind

SYSCTL, SYSFS = ModifierKind.SYSCTL, ModifierKind.SYSFS
DEBUGFS, CMDLINE = ModifierKind.DEBUGFS, ModifierKind.CMDLINE
SLICE = Modifier(SYSCTL, "kernel.slice", "7")
QUEUE = Modifier(SYSFS, "block/queue", "64")


@pytest.fixture
def files(tmp_path):
    """Plain files for knobs: they hold what was last written, as most of the kernel's do."""
    values = {
        "sys/kernel/slice": "3\n",
        "sysfs/block/queue": "128\n",
        "sysfs/thp": "always [madvise] never\n",
    }
    for name, text in values.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def where(files):
    return {"directory": files / "runs", "roots": roots(files)}


def roots(base: Path) -> dict[ModifierKind, Path]:
    return {SYSCTL: base / "sys", SYSFS: base / "sysfs", DEBUGFS: base / "debugfs"}


def values(files: Path) -> tuple[str, str]:
    return (files / "sys/kernel/slice").read_text(), (files / "sysfs/block/queue").read_text()


def journals(files: Path) -> list[Path]:
    return list((files / "runs").glob(".host-knobs-*.json"))


BEFORE = ("3", "128")


def as_before(files: Path) -> bool:
    return tuple(text.strip() for text in values(files)) == BEFORE and not journals(files)


def test_set_within_and_put_back_after(files, where):
    with host_knobs([SLICE, QUEUE], **where) as facts:
        assert values(files) == ("7", "64")
        assert [(f.before, f.after, f.wanted) for f in facts] == [
            ("3", "7", "7"),
            ("128", "64", "64"),
        ]
        (journal,) = journals(files)
        assert [k["before"] for k in json.loads(journal.read_text())["knobs"]] == ["3", "128"]
    assert as_before(files)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_put_back_after_errors(files, where, error):
    with pytest.raises(error), host_knobs([SLICE, QUEUE], **where):
        raise error
    assert as_before(files)


def test_without_knobs_there_is_nothing_to_do(files, where):
    with host_knobs([], **where) as facts:
        assert facts == ()
    assert as_before(files)


@pytest.mark.parametrize(
    ("modifier", "words"),
    [
        (Modifier(CMDLINE, "mitigations", "off"), "boot parameter"),
        (Modifier(SYSCTL, "kernel.slice", "9"), "twice"),
        (Modifier(SYSCTL, "kernel.missing", "9"), "no such knob"),
        (Modifier(DEBUGFS, "sched/features", "NO_X"), "no such knob"),
        (Modifier(SYSFS, "dir", "1"), "no such knob"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(files, where, modifier, words):
    (files / "sysfs/dir").mkdir()
    with pytest.raises(UsageError, match=words), host_knobs([SLICE, modifier], **where):
        raise AssertionError("entered")
    assert as_before(files)


def test_a_value_that_does_not_take_is_undone(files, where):
    # What the kernel does with a device that keeps nothing: /dev/null reads as empty.
    (files / "sysfs/deaf").symlink_to("/dev/null")
    with (
        pytest.raises(UsageError),
        host_knobs([SLICE, Modifier(SYSFS, "deaf", "1")], **where),
    ):
        raise AssertionError("entered")
    assert as_before(files)


def test_links_do_not_lead_out(files):
    (files / "sysfs/out").symlink_to("/etc")
    with pytest.raises(UsageError, match="not below"):
        path_of(Modifier(SYSFS, "out/hostname", "x"), roots(files))


@pytest.mark.parametrize(
    ("kind", "key", "wanted", "before", "expected"),
    [
        ("sysctl", "vm.swappiness", "10", "60", "60"),
        ("sysctl", "net.ipv4.tcp_rmem", "1 2 3", "4096\t131072\t6291456", "4096\t131072\t6291456"),
        ("sysctl", "net.ipv4.tcp_allowed_congestion_control", "cubic", "reno cubic", "reno cubic"),
        ("sysfs", "kernel/mm/transparent_hugepage/enabled", "never", "always [madvise] never",
         "madvise"),
        ("debugfs", "sched/features", "NO_RUN_TO_PARITY", "LAG RUN_TO_PARITY", "RUN_TO_PARITY"),
        ("debugfs", "sched/features", "HRTICK", "PLACE_LAG NO_HRTICK", "NO_HRTICK"),
        ("debugfs", "sched/features", "NO_HRTICK", "PLACE_LAG NO_HRTICK", "NO_HRTICK"),
    ],
)  # fmt: skip
def test_what_to_write_to_have_it_as_before(kind, key, wanted, before, expected):
    assert text_before(KnobFact(kind, key, wanted, before)) == expected


def test_two_at_once_are_refused(files, where):
    with host_knobs([SLICE], **where):
        with pytest.raises(InfrastructureError, match="another kernleap"):
            recover(**where)
        with pytest.raises(InfrastructureError, match="another kernleap"):
            host_knobs([QUEUE], **where).__enter__()
        assert values(files) == ("7", "128\n")
    assert as_before(files)


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_knob_host import QUEUE, SLICE, roots
from kernleap.machine.knob_host import host_knobs
base = Path(sys.argv[1])
with host_knobs([SLICE, QUEUE], directory=base / "runs", roots=roots(base)):
    print("set", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(files):
    """Another process that has the knobs set."""
    command = [sys.executable, "-c", HOLDER, str(files), str(Path(__file__).parent)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "set\n"
    assert values(files) == ("7", "64")
    yield running
    running.kill()
    running.wait()


def test_ctrl_c_puts_back(files, holder):
    holder.send_signal(signal.SIGINT)
    assert holder.wait(30) != 0
    assert as_before(files)


def test_sigkill_is_made_good_at_the_next_start(files, where, holder):
    holder.kill()
    holder.wait()
    assert values(files) == ("7", "64")
    lines = recover(**where)
    assert as_before(files)
    assert any("put back to '3'" in line for line in lines)
    assert recover(**where) == ()


def test_setting_knobs_again_makes_good_first(files, where, holder):
    holder.kill()
    holder.wait()
    with host_knobs([Modifier(SYSFS, "block/queue", "32")], **where) as (fact,):
        assert fact.before == "128"
        assert values(files) == ("3", "32")
    assert as_before(files)


def test_what_someone_changed_since_is_left_alone(files, where, holder):
    holder.kill()
    holder.wait()
    (files / "sysfs/block/queue").write_text("256\n")
    lines = recover(**where)
    assert [text.strip() for text in values(files)] == ["3", "256"]
    assert any("left alone" in line for line in lines)
    assert not journals(files)


def test_after_a_reboot_nothing_is_put_back(files, where, holder):
    holder.kill()
    holder.wait()
    (journal,) = journals(files)
    document = json.loads(journal.read_text())
    journal.write_text(json.dumps({**document, "boot": "another"}))
    assert recover(**where) == ()
    assert values(files) == ("7", "64")
    assert not journals(files)


def test_a_broken_journal_is_not_believed(files, where):
    with host_knobs([SLICE], **where):
        (journal,) = journals(files)
    journal.write_text('{"boot": ')
    with pytest.raises(InfrastructureError, match="journal"):
        recover(**where)
    assert journal.exists()


def test_what_cannot_be_put_back_is_said_and_kept(files, where):
    with pytest.raises(InfrastructureError, match="1 knobs") as caught, host_knobs(
        [SLICE, QUEUE], **where
    ):  # fmt: skip
        (files / "sysfs/block/queue").unlink()
        (files / "sysfs/block/queue").mkdir()
    assert "echo '128' >" in str(caught.value)
    assert values_of_slice(files) == "3"
    (journal,) = journals(files)
    assert [k["key"] for k in json.loads(journal.read_text())["knobs"]] == ["block/queue"]


def values_of_slice(files: Path) -> str:
    return (files / "sys/kernel/slice").read_text().strip()


REAL = Path("/proc/sys/net/unix/max_dgram_qlen")


@pytest.mark.skipif(not os.access(REAL, os.W_OK), reason="needs the right to set sysctls")
def test_a_real_sysctl(tmp_path):
    before = REAL.read_text()
    wanted = str(int(before) + 1)
    modifier = Modifier(SYSCTL, "net.unix.max_dgram_qlen", wanted)
    with host_knobs([modifier], directory=tmp_path) as (fact,):
        assert REAL.read_text().strip() == wanted == fact.after
    assert REAL.read_text() == before
    with (
        pytest.raises(UsageError, match="refused"),
        host_knobs([Modifier(SYSCTL, "net.unix.max_dgram_qlen", "words")], directory=tmp_path),
    ):
        raise AssertionError("entered")
    assert REAL.read_text() == before


SWAPPING = Path("/sys/kernel/mm/transparent_hugepage/defrag")


@pytest.mark.skipif(not os.access(SWAPPING, os.W_OK), reason="needs the right to set sysfs knobs")
def test_a_real_choice_among_words(tmp_path):
    before = SWAPPING.read_text()
    wanted = "defer" if "[madvise]" in before else "madvise"
    modifier = Modifier(SYSFS, "kernel/mm/transparent_hugepage/defrag", wanted)
    with host_knobs([modifier], directory=tmp_path) as (fact,):
        assert f"[{wanted}]" in SWAPPING.read_text()
        assert fact.after != fact.before
    assert SWAPPING.read_text() == before


BYTES, RATIO = (
    Modifier(SYSCTL, "vm.dirty_bytes", "1048576"),
    Modifier(SYSCTL, "vm.dirty_ratio", "5"),
)


@pytest.mark.parametrize("others", [[RATIO], [Modifier(SYSCTL, "vm/dirty_ratio", "5")]])
def test_knobs_that_change_each_other_are_refused(files, where, others):
    with (
        pytest.raises(UsageError, match="change each other"),
        host_knobs([BYTES, *others], **where),
    ):
        raise AssertionError("entered")


@pytest.mark.parametrize(
    "key", ["kernel.modules_disabled", "net.ipv4.ip_forward", "net.ipv6.conf.all.disable_ipv6"]
)
def test_what_cannot_be_taken_back_is_refused(files, where, key):
    with pytest.raises(UsageError, match="not touched"), host_knobs(
        [Modifier(SYSCTL, key, "1")], **where
    ):  # fmt: skip
        raise AssertionError("entered")


def test_two_names_of_one_knob_are_refused(files, where):
    (files / "sysfs/policy0").symlink_to("block")
    other = Modifier(SYSFS, "policy0/queue", "32")
    with pytest.raises(UsageError, match="two names"), host_knobs([QUEUE, other], **where):
        raise AssertionError("entered")
    assert as_before(files)


DIRTY = Path("/proc/sys/vm/dirty_bytes")


@pytest.mark.skipif(not os.access(DIRTY, os.W_OK), reason="needs the right to set sysctls")
@pytest.mark.parametrize("how", ["left", "killed"])
def test_a_real_couple_is_put_back_by_the_one_in_force(tmp_path, how):
    ratio = DIRTY.with_name("dirty_ratio")
    before = (DIRTY.read_text(), ratio.read_text())
    assert "0\n" in before  # one of them is not in force: written back, it would be refused
    asked = (DIRTY, "1073741824") if before[0] == "0\n" else (ratio, "19")
    modifier = Modifier(SYSCTL, f"vm.{asked[0].name}", asked[1])
    if how == "left":
        with host_knobs([modifier], directory=tmp_path) as (fact,):
            assert asked[0].read_text().strip() == asked[1] == fact.after
            assert (DIRTY.read_text(), ratio.read_text()) != before
    else:
        journal = Journal(tmp_path)
        manager = host_knobs([modifier], directory=tmp_path)
        manager.__enter__()
        document = journal.file.read_bytes()
        manager.__exit__(None, None, None)
        # As a kill between the two would have left it.
        asked[0].write_text(asked[1])
        journal.file.write_bytes(document)
        recover(directory=tmp_path)
    assert (DIRTY.read_text(), ratio.read_text()) == before
    assert not list(tmp_path.glob("*.json"))
