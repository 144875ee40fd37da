"""The kernel that runs: what identifies it where its image need not be at hand.

Machines that lend out their kernel (containers, cloud guests) have no image of it, and comparing
its run-time configurations needs none. It is identified by its build id, which the linker made of
its code (the GNU notes in /sys/kernel/notes), and its version's text.
"""

from __future__ import annotations

import gzip
import hashlib
import platform
from pathlib import Path

from kernleap import paths
from kernleap.kernel.cache import write_atomically
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance

_ARCHES = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64}


def running_kernel(ref: KernelRef, root: Path = Path("/")) -> KernelImage:
    """The running kernel. `vmlinuz` is where its notes are, `sha256` is of notes and version.

    Args:
        ref: the reference that asked for it, without modifiers.
        root: where `proc`, `sys` and `boot` are.

    Raises:
        UsageError: the reference is of another kernel.
        InfrastructureError: /proc is not what it should be.
    """
    if ref.source != "host":
        raise UsageError(
            "the running machine has one kernel, the one that runs",
            where=str(ref),
            cause="another kernel has to be booted",
            next_step=f"kernleap compare host host+sysctl:KEY=VALUE --machine here; or boot {ref} "
            "in the lab: leave --machine out",
        )
    notes = root / "sys/kernel/notes"
    try:
        version = (root / "proc/version").read_bytes()
        release = (root / "proc/sys/kernel/osrelease").read_text().strip()
        identity = notes.read_bytes() if notes.is_file() else b""
    except OSError as error:
        raise InfrastructureError(
            "the running kernel does not say what it is", where=str(root / "proc/version"),
            cause=error.strerror,
        ) from error  # fmt: skip
    return KernelImage(
        ref=ref,
        release=release,
        arch=_ARCHES.get(platform.machine(), Arch.AMD64),
        vmlinuz=notes,
        sha256=hashlib.sha256(identity + b"\0" + version).hexdigest(),
        provenance=Provenance(
            source="host", version=version.decode("utf-8", "replace").strip(), path=str(notes)
        ),
        kconfig=_kconfig(root, release),
    )


def _kconfig(root: Path, release: str) -> Path | None:
    packed = root / "proc/config.gz"
    try:
        data = gzip.decompress(packed.read_bytes())
    except (OSError, EOFError):
        plain = root / f"boot/config-{release}"
        return plain if plain.is_file() else None
    directory = paths.cache_dir() / "running"
    target = directory / f"{hashlib.sha256(data).hexdigest()}.config"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not target.is_file():
            write_atomically(target, data, directory)
    except OSError:
        return None
    return target
