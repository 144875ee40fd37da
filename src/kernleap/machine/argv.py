"""The emulator's command line and the kernel's: pure functions of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernleap.guest.channel import CHANNEL_BYTES
from kernleap.model.kernel import Arch, Modifier, ModifierKind
from kernleap.model.machine import MachineSpec

# nokaslr: addresses must mean the same function in each boot.
# cryptomgr.notests: seconds of self-tests that no workload meets.
# panic=-1: a panic ends the emulator (-no-reboot) instead of waiting for a person.
# loglevel=4: remarks about unknown parameters must not move the clock between arms.
_BASE_CMDLINE = (
    "nokaslr",
    "cryptomgr.notests",
    "panic=-1",
    "loglevel=4",
)
_CONSOLE = {Arch.AMD64: "ttyS0", Arch.ARM64: "ttyAMA0"}
# dtb-randomness=off: else each start of the emulator would hand the kernel other random bytes.
_MACHINE = {Arch.AMD64: "pc", Arch.ARM64: "virt,gic-version=3,dtb-randomness=off"}


@dataclass(frozen=True, slots=True)
class BootFiles:
    """The files of one boot. `plugin` and `counts` belong together; None boots without."""

    kernel: Path
    initramfs: Path
    channel: Path
    plugin: Path | None = None
    counts: Path | None = None


def kernel_cmdline(modifiers: Sequence[Modifier], arch: Arch = Arch.AMD64) -> str:
    """The kernel's command line: the lab's own parameters, then the arm's in their order."""
    extra = [
        m.key if m.value is None else f"{m.key}={m.value}"
        for m in modifiers
        if m.kind is ModifierKind.CMDLINE
    ]
    return " ".join((f"console={_CONSOLE[arch]}", *_BASE_CMDLINE, *extra))


def lab_argv(
    emulator: str, spec: MachineSpec, files: BootFiles, cmdline: str, seed: int
) -> list[str]:
    """The argument vector of one counted boot.

    `seed` fixes the guest's hardware randomness; with it, the clock and the inputs fixed,
    two boots are byte-identical.
    """
    argv = [
        emulator,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        _MACHINE[spec.arch],
        "-accel",
        "tcg,thread=single",
        "-icount",
        "shift=0,sleep=off",
        "-seed",
        str(seed),
        "-rtc",
        "base=2026-01-01,clock=vm",
        "-cpu",
        spec.cpu,
        "-smp",
        str(spec.vcpus),
        "-m",
        str(spec.memory_mib),
        "-no-reboot",
        "-kernel",
        str(files.kernel),
        "-initrd",
        str(files.initramfs),
        "-append",
        cmdline,
        "-serial",
        "stdio",
        "-object",
        "memory-backend-file,id=channel,share=on,"
        f"size={CHANNEL_BYTES},mem-path={escape(files.channel)}",
        "-device",
        "ivshmem-plain,memdev=channel",
    ]
    if files.plugin is not None and files.counts is not None:
        argv += ["-plugin", f"{escape(files.plugin)},out={escape(files.counts)}"]
    return argv


def escape(path: Path) -> str:
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
