"""The kernel's symbols, handed over by the kernel itself in a boot of its own.

Without address randomisation they are a function of the image alone, so one short boot per
image serves every later trial; the result is cached under the image's digest.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import zstandard
from filelock import FileLock

from kernleap.guest import channel
from kernleap.guest.initramfs import GuestImage
from kernleap.guest.plan import symbols_plan
from kernleap.machine.argv import BootFiles, kernel_cmdline, lab_argv
from kernleap.machine.process import Ending, run_emulator
from kernleap.machine.qemu import Emulator
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.paths import cache_dir

_ATTEMPTS = 2
_LARGEST_BYTES = channel.CHANNEL_BYTES


def kernel_symbols(
    image: KernelImage,
    spec: MachineSpec,
    emulator: Emulator,
    guest: GuestImage,
    stop: threading.Event,
) -> str:
    """Lines of /proc/kallsyms for the code of this kernel, from the cache or from a boot.

    Raises:
        InfrastructureError: the kernel does not boot far enough to tell.
        Interrupted: `stop` was set meanwhile.
    """
    folder = cache_dir() / "symbols"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.sha256}.kallsyms.zst"
    if (cached := _read(path)) is not None:
        return cached
    with FileLock(folder / f".{image.sha256}.lock"):
        if (cached := _read(path)) is not None:
            return cached
        text = _boot_for_symbols(image, spec, emulator, guest, stop)
        scratch = path.with_suffix(".part")
        scratch.write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
        scratch.replace(path)
        return text


def _read(path: Path) -> str | None:
    try:
        data = path.read_bytes()
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=_LARGEST_BYTES)
        return raw.decode("ascii")
    except FileNotFoundError:
        return None
    except (zstandard.ZstdError, UnicodeDecodeError):
        # Only a cache: what is damaged is made again.
        path.unlink(missing_ok=True)
        return None


def _boot_for_symbols(
    image: KernelImage,
    spec: MachineSpec,
    emulator: Emulator,
    guest: GuestImage,
    stop: threading.Event,
) -> str:
    why = tail = ""
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix="kernleap-symbols-") as scratch:
            workdir = Path(scratch)
            files = BootFiles(image.vmlinuz, guest.path, workdir / "channel")
            channel.create(files.channel, symbols_plan(seed=1))
            cmdline = kernel_cmdline((), spec.arch)
            argv = lab_argv(emulator.path, spec, files, cmdline, seed=1)
            outcome = run_emulator(argv, workdir, spec.time_limit_s, stop)
            tail = outcome.console[-600:]
            try:
                if outcome.ending is Ending.EXITED and channel.read_records(files.channel).of(
                    "done"
                ):
                    return channel.read_symbols(files.channel)
                why = f"the emulator {outcome.ending} (status {outcome.exit_status})"
            except channel.ChannelError as error:
                why = str(error)
    raise InfrastructureError(
        f"{image.release} does not boot in the lab",
        where=f"{image.ref} ({image.vmlinuz})",
        cause=f"{why}; its console ended with:\n{tail.strip() or '(nothing)'}",
        next_step=f"kernleap kernels show {image.ref.base}",
    )
