"""The lab's pure parts: command lines, knobs, endings, events, and the channel's bytes."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.guest import channel
from kernleap.guest.channel import ChannelError, Records
from kernleap.guest.initramfs import Entry, manifest, pack
from kernleap.guest.plan import trial_plan
from kernleap.kernel import parse_ref
from kernleap.machine.argv import BootFiles, kernel_cmdline, lab_argv
from kernleap.machine.collect import compiler_of
from kernleap.machine.emulated import classify
from kernleap.machine.knobs import check_cmdline, check_knobs, took
from kernleap.machine.process import Ending, Outcome
from kernleap.machine.qemu import Emulator, find_emulator
from kernleap.machine.selfcheck import check_ticks
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec, usual_machine
from kernleap.model.run import Region
from kernleap.model.trial import TrialStatus
from kernleap.probe.counts import RegionCounts, VariantCounts
from kernleap.probe.counts_file import CountsError
from kernleap.probe.events import EVENTS, event_entries

FILES = BootFiles(Path("/k/vmlinuz"), Path("/g.cpio"), Path("/t/channel"))


def modifiers(text: str):
    return parse_ref(f"debian:7.2{text}").modifiers


@pytest.mark.parametrize(
    ("wanted", "after", "expected"),
    [
        ("0", "0", True),
        ("0", "N", True),
        ("1", "Y", True),
        ("0", "Y", False),
        ("never", "always madvise [never]", True),
        ("always", "always madvise [never]", False),
        ("4096 131072 6291456", "4096\t131072\t6291456", True),
        ("4096", "4096 131072 6291456", False),
        ("NO_HRTICK", "PLACE_LAG NO_HRTICK", True),
        ("HRTICK", "PLACE_LAG NO_HRTICK", False),
        ("7", "70", False),
        ("7", "", False),
    ],
)
def test_a_knob_took_or_did_not(wanted, after, expected):
    assert took(wanted, after) is expected


def test_knobs_that_answer_for_others_are_garbage():
    said = Records(({"type": "knob", "kind": "sysctl", "key": "kernel.panic", "after": "1"},))
    with pytest.raises(ChannelError, match="1 knobs answered, 0 were set"):
        check_knobs((), said)
    with pytest.raises(ChannelError, match="was not set"):
        check_knobs(modifiers("+sysctl:vm.swappiness=1"), said)


def test_a_boot_parameter_that_the_kernel_did_not_see_is_missed():
    said = Records(({"type": "cmdline", "text": "console=ttyS0 nosmt\n"},))
    assert check_cmdline(modifiers("+cmdline:nosmt"), said) is None
    assert "audit=1" in str(check_cmdline(modifiers("+cmdline:audit=1"), said))


def test_the_kernels_command_line_holds_the_arms_parameters_in_their_order():
    line = kernel_cmdline(modifiers("+cmdline:b=2+sysctl:vm.swappiness=1+cmdline:nosmt"))
    assert line.endswith(" b=2 nosmt")
    assert "swappiness" not in line
    assert {"nokaslr", "panic=-1"} <= set(line.split())


def test_the_emulators_arguments_are_a_function_of_their_inputs():
    first = lab_argv("/qemu", MachineSpec(), FILES, "x=1", 7)
    assert first == lab_argv("/qemu", MachineSpec(), FILES, "x=1", 7)
    assert first[0] == "/qemu"
    for flag, value in (
        ("-icount", "shift=0,sleep=off"),
        ("-accel", "tcg,thread=single"),
        ("-seed", "7"),
        ("-append", "x=1"),
    ):
        assert first[first.index(flag) + 1] == value
    assert "-plugin" not in first
    assert not [a for a in first if "netdev" in a or a == "-nic"], "guests have no network"


def test_an_arm_machine_has_its_own_board_console_and_processor():
    argv = lab_argv("/qemu", usual_machine(Arch.ARM64), FILES, "", 7)
    assert argv[argv.index("-cpu") + 1] == "neoverse-n1"
    board = argv[argv.index("-machine") + 1].split(",")
    assert board[0] == "virt"
    assert "dtb-randomness=off" in board, "or no two boots are alike"
    assert "console=ttyAMA0" in kernel_cmdline((), Arch.ARM64).split()
    assert "console=ttyS0" in kernel_cmdline(()).split()


def test_a_comma_in_a_path_does_not_end_an_option():
    files = BootFiles(
        FILES.kernel, FILES.initramfs, Path("/a,b/channel"), Path("/p.so"), Path("/a,b/counts")
    )
    argv = lab_argv("/qemu", MachineSpec(), files, "", 1)
    assert argv[argv.index("-plugin") + 1] == "/p.so,out=/a,,b/counts"
    assert any(a.endswith("mem-path=/a,,b/channel") for a in argv)


def outcome(ending: Ending = Ending.EXITED, status: int = 0, console: str = "") -> Outcome:
    return Outcome(ending, status, console, 1.0, 1.0)


DONE = Records(({"type": "done"},))
PANIC = "[    1.0] Kernel panic - not syncing: Attempted to kill init!"


@pytest.mark.parametrize(
    ("ended", "records", "status", "reason"),
    [
        (outcome(), DONE, TrialStatus.OK, ""),
        (outcome(), Records(()), TrialStatus.LOST, "before the guest was done"),
        (outcome(status=-9), DONE, TrialStatus.LOST, "status -9"),
        (outcome(console=PANIC), DONE, TrialStatus.PANICKED, "Attempted to kill init"),
        (outcome(Ending.TIMED_OUT, -9), Records(()), TrialStatus.HUNG, "300 s"),
        (outcome(Ending.TIMED_OUT, -9, PANIC), Records(()), TrialStatus.PANICKED, "panic"),
        (outcome(Ending.FLOODED, -9), Records(()), TrialStatus.INVALID, "floods"),
    ],
)
def test_only_an_unmistakable_end_is_ok(ended, records, status, reason):
    found, why = classify(ended, records, 300.0)
    assert found is status
    assert reason in why


def test_the_compiler_is_read_from_proc_version():
    text = (
        "Linux version 7.2.12+deb13-cloud-amd64 (debian-kernel@lists.debian.org) "
        "(x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0, GNU ld (GNU Binutils for Debian) "
        "2.44) #1 SMP PREEMPT_DYNAMIC"
    )
    assert compiler_of(text) == "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
    clang = "Linux version 7.0 (b@h) (clang version 21.1.0, LLD 21.1.0) #1 SMP"
    assert compiler_of(clang) == "clang version 21.1.0"
    assert compiler_of("garbage") == ""


def test_events_are_found_by_their_entries_and_softirqs_once():
    lines = [
        "ffffffff81000080 T entry_SYSCALL_64",
        "ffffffff81001280 T asm_exc_page_fault",
        "ffffffff81001540 T asm_sysvec_apic_timer_interrupt",
        "ffffffff81001630 T asm_sysvec_call_function_single",
        "ffffffff81001650 T asm_common_interrupt",
        "ffffffff81361210 t handle_softirqs",
        "ffffffff81361300 T __do_softirq",
        "ffffffff82000000 T __schedule_bug",
        "garbage",
    ]
    found = {EVENTS[number]: entries for number, entries in event_entries(lines).items()}
    assert found == {
        "syscalls": (0xFFFFFFFF81000080,),
        "interrupts": (0xFFFFFFFF81001540, 0xFFFFFFFF81001650),
        "faults": (0xFFFFFFFF81001280,),
        "softirqs": (0xFFFFFFFF81361210,),
        "ipis": (0xFFFFFFFF81001630,),
    }


def test_events_of_arm64_begin_at_the_vectors_themselves():
    lines = [
        "ffff800080010800 T vectors",
        "ffff800080011000 t __bad_stack",
        "ffff800080012800 T __bp_harden_el1_vectors",
        "ffff800080014364 T __entry_text_end",
        "ffff80008002c010 T cpu_switch_to",
        "ffff800080042148 t ipi_handler",
        "ffff800080044158 T do_el0_svc",
        "ffff800080052da8 T do_mem_abort",
        "ffff80008103b080 t el0_svc",
        "ffff800081041fc0 T __switch_to",
    ]
    found = {EVENTS[n]: entries for n, entries in event_entries(lines, Arch.ARM64).items()}
    assert found == {
        "syscalls": (0xFFFF80008103B080,),
        "switches": (0xFFFF80008002C010,),
        "interrupts": (
            *(0xFFFF800080010A80, 0xFFFF800080010C80),
            *(0xFFFF800080012A80, 0xFFFF800080012C80, 0xFFFF800080013280, 0xFFFF800080013480),
            *(0xFFFF800080013A80, 0xFFFF800080013C80),
        ),
        "faults": (0xFFFF800080052DA8,),
        "ipis": (0xFFFF800080042148,),
    }


def counts_of(kernel: list[int], faults: int = 0) -> RegionCounts:
    n = len(kernel)
    events = np.zeros((n, len(EVENTS)), np.uint32)
    events[:, EVENTS.index("faults")] = faults
    none = np.zeros(n, np.uint64)
    empty = VariantCounts(0, np.zeros(0, np.uint32), np.zeros(0, np.uint64))
    return RegionCounts(
        index=0,
        kernel=np.array(kernel, np.uint64),
        user=none,
        rep=none,
        interrupt=none,
        events=events,
        variant=np.full(n, -1, np.int32),
        variants=(),
        rest=empty,
        variants_seen=0,
        addresses=np.zeros(0, np.uint64),
        repeats=np.zeros(0, np.bool_),
        warnings=(),
    )


def ticks_of(kernel: list[int], step: int, phase: int) -> Records:
    at = np.floor_divide(np.cumsum(kernel) + phase, step)
    return Records(({"type": "ticks", "step": step, "differences": np.diff(at).tolist()},))


@given(
    kernel=st.lists(st.integers(50, 5000), min_size=2, max_size=64),
    step=st.sampled_from([1, 16]),
    phase=st.integers(0, 15),
)
def test_the_self_check_accepts_what_one_phase_of_the_counter_explains(kernel, step, phase):
    check_ticks(ticks_of(kernel, step, phase), counts_of(kernel))
    check_ticks(ticks_of(kernel, step, phase), counts_of([n + 3 for n in kernel], faults=3))


@given(
    kernel=st.lists(st.integers(50, 5000), min_size=64, max_size=64),
    step=st.sampled_from([1, 16]),
    error=st.sampled_from([-1, 1]),
    at=st.integers(1, 63),
)
def test_the_self_check_misses_neither_one_step_nor_one_instruction_each(kernel, step, error, at):
    said = ticks_of(kernel, step, 5)
    each = [n + error for n in kernel]
    once = [n + error * step * (i == at) for i, n in enumerate(kernel)]
    for wrong in (each, once):
        with pytest.raises(CountsError, match="disagree"):
            check_ticks(said, counts_of(wrong))


@pytest.mark.parametrize("step", [0, 65, 1.5, "16"])
def test_a_counter_of_nonsensical_steps_proves_nothing(step):
    said = Records(({"type": "ticks", "step": step, "differences": [100]},))
    with pytest.raises(ChannelError, match="tick"):
        check_ticks(said, counts_of([100, 100]))


@pytest.mark.parametrize(
    ("version", "family"), [("7.2.22", "v1"), ("8.2.0", "v1"), ("10.0.2", "v3"), ("11.1.3", "new")]
)
def test_each_emulator_gets_the_plugin_family_it_accepts(version, family):
    assert Emulator("/q", version).plugin_family == family


def test_an_emulator_without_a_family_is_refused():
    with pytest.raises(InfrastructureError, match=r"9\.0\.1"):
        _ = Emulator("/q", "9.0.1").plugin_family


def area(path: Path, magic: int, length: int, text: bytes) -> Path:
    channel.create(path, "plan")
    with path.open("r+b") as file:
        file.seek(channel.RECORDS_AT)
        file.write(channel.HEAD.pack(magic, length) + text)
    return path


def test_records_come_back_in_order(tmp_path):
    text = b'{"type":"a","n":1}\n{"type":"b"}\n{"type":"a","n":2}\n'
    records = channel.read_records(area(tmp_path / "c", channel.MAGIC, len(text), text))
    assert [r["n"] for r in records.of("a")] == [1, 2]
    assert records.one("b") == {"type": "b"}
    with pytest.raises(ChannelError, match="2 records"):
        records.one("a")


def test_a_guest_that_wrote_nothing_has_no_records(tmp_path):
    assert channel.read_records(area(tmp_path / "c", 0, 0, b"")).items == ()


@given(magic=st.sampled_from([0, 1, channel.MAGIC]), length=st.integers(0, 2**64 - 1),
       text=st.binary(max_size=300))  # fmt: skip
def test_garbage_on_the_channel_is_an_error_or_records_never_anything_else(
    tmp_path_factory, magic, length, text
):
    path = area(tmp_path_factory.mktemp("c") / "c", magic, length, text)
    try:
        records = channel.read_records(path)
    except ChannelError:
        return
    assert all(isinstance(item["type"], str) for item in records.items)


def test_a_plan_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="too long"):
        channel.create(tmp_path / "c", "x" * channel.PLAN_BYTES)
    assert list(tmp_path.iterdir()) == []


def test_the_plan_of_a_trial_in_the_words_of_the_guest():
    plan = trial_plan(
        seed=5,
        settle_s=3.0,
        modifiers=modifiers("+sysctl:vm.swappiness=1+cmdline:nosmt"),
        events={1: (0xFF, 0x10)},
        regions=[Region("epoll-64/1p", "epoll", "1p", 10, 2, (64,))],
    )
    assert plan.splitlines() == [
        "seed 5",
        "knob sysctl\tvm.swappiness\t1",
        "settle 3.0",
        "event 1 ff",
        "event 1 10",
        "run epoll 1p 10 2 64",
    ]


def test_the_initramfs_has_the_same_bytes_for_the_same_inputs():
    files = [Entry("usr/lib/b", stat.S_IFREG | 0o644, b"b"), Entry("a", stat.S_IFREG | 0o755, b"a")]
    one = pack(manifest(b"init", files))
    assert one == pack(manifest(b"init", files[::-1]))
    assert one.startswith(b"070701")
    assert one.endswith(b"\0")
    assert len(one) % 4 == 0
    names = [e.path for e in manifest(b"init", files)]
    assert names.index("usr") < names.index("usr/lib") < names.index("usr/lib/b")


@pytest.mark.parametrize(
    ("arch", "package"), [(Arch.AMD64, "qemu-system-x86"), (Arch.ARM64, "qemu-system-arm")]
)
def test_a_missing_emulator_is_named_with_what_installs_it(arch, package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    find_emulator.cache_clear()
    with pytest.raises(InfrastructureError) as caught:
        find_emulator(arch)
    assert caught.value.next_step == f"apt-get install {package}"
