"""Guests that panic, hang, flood, vanish or lie: a status each, never a number.

Real kernels in the real emulator; only PID 1 is a program of the tests.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kernleap.guest.build import compile_artefact, guest_artefact
from kernleap.guest.initramfs import GuestImage, manifest, pack
from kernleap.machine import Interrupted, LabMachine
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec
from kernleap.model.trial import TrialRecord, TrialStatus
from lab_runs import image_of, lab_of, plan_of, run_trial

pytestmark = [pytest.mark.boot, pytest.mark.network]

KERNEL = "debian:7.2"


@pytest.fixture(scope="module")
def bad_guest(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> GuestImage:
    home = tmp_path_factory.mktemp("bad-guest")
    real = guest_artefact(Arch.AMD64)
    source = checkout / "tests" / "native" / "bad_guest.c"
    artefact = replace(
        real,
        name="bad",
        sources=(str(source), "channel.c"),
    )
    compile_artefact(artefact, home / "init")
    image = home / "bad.cpio"
    image.write_bytes(pack(manifest((home / "init").read_bytes())))
    return GuestImage(image, "bad")


def trial_of(how: str, guest: GuestImage, **spec: float) -> TrialRecord:
    lab = LabMachine(replace(MachineSpec(), **spec))  # type: ignore[arg-type]
    # The kernel is known from a good boot; only the trial itself misbehaves.
    lab.kernel(image_of(KERNEL), threading.Event())
    lab.guest = guest
    plan = plan_of([f"{KERNEL}+cmdline:bad={how}", KERNEL])
    trial = next(t for t in plan.trials if "bad=" in t.arm)
    return run_trial(plan, trial, lab)


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("panic", TrialStatus.PANICKED, "Attempted to kill init"),
        ("off", TrialStatus.LOST, "before the guest was done"),
        ("flood", TrialStatus.INVALID, "floods its console"),
        ("garbage", TrialStatus.INVALID, "not JSON"),
        ("wrong", TrialStatus.INVALID, "no type"),
        ("overflow", TrialStatus.INVALID, "more records than there is room"),
        ("liar", TrialStatus.INVALID, "ran 0 regions"),
        ("unseeded", TrialStatus.INVALID, "random generator is not ready"),
    ],
)
def test_a_guest_that_misbehaves_gives_a_status_and_no_samples(bad_guest, how, status, reason):
    record = trial_of(how, bad_guest)
    assert (record.status, reason in record.reason) == (status, True), record.reason
    assert record.samples == record.profiles == ()
    assert len(record.artifacts["console"]) <= 64 << 10


def test_a_guest_that_hangs_is_ended_at_its_time_limit(bad_guest):
    record = trial_of("hang", bad_guest, time_limit_s=25.0)
    assert (record.status, record.reason) == (TrialStatus.HUNG, "not done after 25 s")
    assert record.samples == ()


def test_a_knob_that_the_kernel_does_not_have_fails_the_trial():
    plan = plan_of([f"{KERNEL}+sysctl:kernel.no_such_knob=1", KERNEL], globs=["syscall-getppid"])
    record = run_trial(plan, next(t for t in plan.trials if "knob" in t.arm))
    assert record.status is TrialStatus.INVALID
    assert "kernel.no_such_knob" in record.reason
    assert "No such file" in record.reason
    assert record.samples == ()


def test_a_knob_that_takes_is_read_back():
    plan = plan_of(
        [f"{KERNEL}+sysctl:net.ipv4.tcp_slow_start_after_idle=0+sysctl:kernel.panic=7", KERNEL],
        globs=["syscall-getppid"],
    )
    record = run_trial(plan, next(t for t in plan.trials if "sysctl" in t.arm))
    assert record.status is TrialStatus.OK, record.reason
    knobs = [(k["key"], k["before"], k["after"]) for k in record.facts["knobs"]]
    assert knobs == [
        ("net.ipv4.tcp_slow_start_after_idle", "1", "0"),
        ("kernel.panic", "-1", "7"),
    ]


def test_a_stop_ends_the_emulator_at_once(tmp_path):
    lab = lab_of()
    lab.kernel(image_of(KERNEL), threading.Event())
    plan = plan_of([KERNEL, KERNEL])
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        lab.run(plan, plan.trials[0], image_of(KERNEL), tmp_path, stop)
    assert time.monotonic() - began < 4
    marker = str(tmp_path).encode()
    alive = [
        p for p in Path("/proc").glob("[0-9]*/cmdline") if p.parent.exists() and marker in _read(p)
    ]
    assert alive == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
