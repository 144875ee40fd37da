"""The emulator's command line and the kernel's: pure functions of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernleap.guest.channel import CHANNEL_BYTES
from kernleap.model.kernel import Arch, Modifier, ModifierKind
from kernleap.model.machine import MachineSpec
from kernleap.model.topology import EmulatedShape, Topology

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
# sched_verbose: the scheduling domains can be read.
# tsc=reliable: else the clock's watchdog may make one CPU poll another for ever: they take turns,
# and the clock is a count of instructions, the same for all of them.
_PLACED_CMDLINE = {Arch.AMD64: ("sched_verbose", "tsc=reliable"), Arch.ARM64: ("sched_verbose",)}
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


def kernel_cmdline(
    modifiers: Sequence[Modifier], arch: Arch = Arch.AMD64, *, placed: bool = False
) -> str:
    """The kernel's command line: the lab's own parameters, then the arm's in their order.

    A `placed` machine, which has many CPUs, has some parameters more.
    """
    extra = [
        m.key if m.value is None else f"{m.key}={m.value}"
        for m in modifiers
        if m.kind is ModifierKind.CMDLINE
    ]
    base = (*_BASE_CMDLINE, *_PLACED_CMDLINE[arch]) if placed else _BASE_CMDLINE
    return " ".join((f"console={_CONSOLE[arch]}", *base, *extra))


def lab_argv(
    emulator: str, spec: MachineSpec, files: BootFiles, cmdline: str, seed: int
) -> list[str]:
    """The argument vector of one counted boot.

    `seed` fixes the guest's hardware randomness; with it, the clock and the inputs fixed,
    two boots are byte-identical.
    """
    argv = [
        *_common(emulator, spec.arch, "shift=0,sleep=off", seed),
        "-cpu",
        spec.cpu,
        "-smp",
        str(spec.vcpus),
        "-m",
        str(spec.memory_mib),
        *_boot(files, cmdline),
    ]
    if files.plugin is not None and files.counts is not None:
        argv += ["-plugin", f"{escape(files.plugin)},out={escape(files.counts)}"]
    return argv


# Nanoseconds of guest time for an instruction, as a power of two: a CPU that takes turns with a
# dozen others must still get work done between two of its clock ticks.
_PLACED_SHIFT = 3


def placed_argv(
    emulator: str, topology: Topology, files: BootFiles, cmdline: str, seed: int
) -> list[str]:
    """The argument vector of one boot on an emulated shape."""
    return [
        *_common(emulator, topology.arch, f"shift={_PLACED_SHIFT},sleep=off", seed),
        "-cpu",
        topology.emulator.cpu,
        "-smp",
        _smp(topology.emulator),
        "-m",
        str(topology.memory_mib),
        *_numa(topology),
        *_boot(files, cmdline),
    ]


def _smp(shape: EmulatedShape) -> str:
    parts = [f"{shape.cpus}", f"sockets={shape.sockets}"]
    # Each kind of machine refuses the level that it does not know, even when it is 1.
    parts += [f"dies={shape.dies}"] if shape.dies > 1 else []
    parts += [f"clusters={shape.clusters}"] if shape.clusters > 1 else []
    return ",".join((*parts, f"cores={shape.cores}", f"threads={shape.threads}"))


def _numa(topology: Topology) -> list[str]:
    nodes = topology.truth.nodes
    if len(nodes) < 2:
        return []
    argv = []
    for number, cpus in enumerate(nodes):
        share = topology.memory_mib // len(nodes)
        # The last node takes what does not divide: the sum must be the machine's memory.
        size = share if number else topology.memory_mib - share * (len(nodes) - 1)
        ranges = "".join(f",cpus={part}" for part in cpus.split(","))
        argv += ["-object", f"memory-backend-ram,id=node{number},size={size}M"]
        argv += ["-numa", f"node,nodeid={number}{ranges},memdev=node{number}"]
    return argv


def _common(emulator: str, arch: Arch, icount: str, seed: int) -> list[str]:
    return [
        emulator,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        _MACHINE[arch],
        "-accel",
        "tcg,thread=single",
        "-icount",
        icount,
        "-seed",
        str(seed),
        "-rtc",
        "base=2026-01-01,clock=vm",
    ]


def _boot(files: BootFiles, cmdline: str) -> list[str]:
    return [
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


def escape(path: Path) -> str:
    """A path inside one of QEMU's comma-separated options."""
    return str(path).replace(",", ",,")
