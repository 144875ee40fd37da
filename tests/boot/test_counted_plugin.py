"""The counting plugin under real emulators, on a real kernel, against the cycle counter.

Under `-icount shift=0` the guest's time stamp counter advances by one per instruction, so it
is a second, independent counter. Only one thing sets them apart: an instruction that faults
is begun twice, and the plugin counts what is begun, the cycle counter what is completed.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kernleap import kernel
from kernleap.guest import build
from kernleap.guest.initramfs import manifest, pack
from kernleap.machine.qemu import find_emulator
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch
from kernleap.probe.counted import read_counts
from kernleap.probe.events import EVENTS
from other_qemu import emulator_of

pytestmark = [pytest.mark.boot, pytest.mark.network]

REGIONS = ("getppid", "spin", "pipe", "pipe-large", "touch", "fork")
FAULTS_OF_TOUCH = 16


@dataclass(frozen=True)
class Lab:
    """What every boot here shares: a kernel and the plugin's own guest."""

    vmlinuz: Path
    initramfs: Path

    def boot(self, emulator: tuple[str, ...], plugin: Path | None, counts: Path) -> str:
        """One boot to its end; returns what the guest printed."""
        argv = [*emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        argv += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-seed", "1"]
        argv += ["-rtc", "base=2026-01-01,clock=vm", "-cpu", "Icelake-Server-v4", "-m", "512"]
        argv += ["-serial", "stdio", "-kernel", str(self.vmlinuz), "-initrd", str(self.initramfs)]
        argv += ["-append", "console=ttyS0 nokaslr cryptomgr.notests panic=-1 quiet"]
        if plugin is not None:
            argv += ["-plugin", f"{plugin},out={counts}"]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "DONE" in done.stdout, done.stdout[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def lab(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    try:
        image = kernel.obtain(kernel.parse_ref("debian:7.2"), arch=Arch.AMD64)
    except InfrastructureError as error:
        pytest.skip(f"no kernel to boot: {error.what}")
    scratch = tmp_path_factory.mktemp("lab")
    flags = build.guest_artefact(Arch.AMD64).flags
    build.compile_artefact(
        build.Artefact("init", checkout / "tests" / "native", ("counted_guest.c",), flags),
        scratch / "init",
    )
    initramfs = scratch / "initramfs.cpio"
    initramfs.write_bytes(pack(manifest((scratch / "init").read_bytes())))
    return Lab(image.vmlinuz, initramfs)


def ticks(printed: str) -> dict[str, np.ndarray]:
    """Per region, the cycle counter's advance over each operation."""
    lines = [line.split() for line in printed.splitlines() if line.startswith("TSC ")]
    return {words[1]: np.array(words[2:], dtype=np.int64) for words in lines}


def check_against_ticks(counts: Path, printed: str) -> None:
    counted = read_counts(counts)
    assert counted.errors == ()
    assert counted.event_addresses == 6
    expected = ticks(printed)
    assert tuple(expected) == REGIONS
    unmoved = 0
    for name, region in zip(REGIONS, counted.regions, strict=True):
        total = (region.kernel + region.user + region.rep + region.interrupt).astype(np.int64)
        assert region.warnings == ()
        beyond = total - expected[name]
        if name in {"touch", "fork"}:
            # The excess is the instructions that faulted: the same in every operation.
            assert len(set(beyond.tolist())) == 1
            assert 0 < beyond[0] <= FAULTS_OF_TOUCH
        else:
            assert not beyond.any()
        # Ticks add up exactly, and need not move what they hit.
        events = region.events
        hit = events[:, EVENTS.index("interrupts")] > 0
        assert np.array_equal(hit, region.interrupt > 0)
        alone = hit & (events[:, EVENTS.index("schedules")] == 0)
        unmoved += int(np.count_nonzero(region.variant[alone] == 0))
    assert unmoved > 0
    by_name = dict(zip(REGIONS, counted.regions, strict=True))
    mode = {name: r.events[r.variant == 0][0] for name, r in by_name.items()}
    assert mode["getppid"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert mode["spin"].tolist() == [0] * 8
    assert mode["pipe"][EVENTS.index("syscalls")] == 2
    assert mode["touch"][EVENTS.index("faults")] == FAULTS_OF_TOUCH
    assert mode["fork"][EVENTS.index("switches")] >= 2
    assert by_name["spin"].kernel[by_name["spin"].variant == 0][0] == 0
    # A 16 KiB message is copied in and out a byte an iteration.
    assert by_name["pipe-large"].rep.min() >= 2 * 16384


def test_counts_are_exact_repeatable_and_undisturbing(lab: Lab, tmp_path: Path) -> None:
    emulator = find_emulator()
    plugin = build.build_plugin(emulator.plugin_family)
    first, second = tmp_path / "first", tmp_path / "second"
    printed = lab.boot((emulator.path,), plugin, first)
    assert lab.boot((emulator.path,), plugin, second) == printed
    assert second.read_bytes() == first.read_bytes()
    # The guest cannot tell: every reading of its clock is the same without the plugin.
    assert lab.boot((emulator.path,), None, tmp_path / "none") == printed
    check_against_ticks(first, printed)


@pytest.mark.parametrize(("suite", "family"), [("trixie", "v3"), ("sid", "new")])
def test_newer_emulators_count_exactly_too(
    lab: Lab, suite: str, family: str, tmp_path: Path
) -> None:
    try:
        emulator = emulator_of(suite, tmp_path / "qemu")
    except InfrastructureError as error:
        pytest.skip(str(error))
    counts = tmp_path / "counts"
    printed = lab.boot(emulator, build.build_plugin(family), counts)
    check_against_ticks(counts, printed)


def test_more_than_one_vcpu_is_refused(tmp_path: Path) -> None:
    emulator = find_emulator()
    plugin = build.build_plugin(emulator.plugin_family)
    argv = [emulator.path, "-nodefaults", "-display", "none", "-smp", "2", "-S"]
    done = subprocess.run(
        [*argv, "-plugin", f"{plugin},out={tmp_path / 'counts'}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "counts need exactly one vCPU" in done.stderr
