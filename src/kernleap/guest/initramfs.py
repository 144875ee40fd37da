"""The guest's root file system: a cpio archive, the same bytes for the same inputs.

The archive is the "newc" format that the kernel unpacks; times, owners and inode numbers
are fixed, the entries sorted by the manifest.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kernleap.guest.build import build_guest
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch
from kernleap.paths import cache_dir


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the manifest: `mode` holds type and permissions, as in stat."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class GuestImage:
    """An initramfs at hand; `sha256` is the guest's identity in every record."""

    path: Path
    sha256: str


def pack(entries: Iterable[Entry]) -> bytes:
    """The archive of these entries, in their order, with its trailer."""
    out = bytearray()
    for inode, entry in enumerate((*entries, Entry("TRAILER!!!", 0)), start=1):
        name = entry.path.encode() + b"\0"
        fields = (
            inode,
            entry.mode,
            0,
            0,
            1,
            0,
            len(entry.data),
            0,
            0,
            *entry.device,
            len(name),
            0,
        )
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        out += entry.data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def manifest(init: bytes, files: Sequence[Entry] = ()) -> tuple[Entry, ...]:
    """Everything that user space consists of in a measuring guest.

    `files` are added in order of their paths, the directories above them made.
    """
    names = {"dev", "proc", "sys", "tmp"}
    for entry in files:
        names.update(str(parent) for parent in PurePosixPath(entry.path).parents)
    folders = tuple(Entry(name, stat.S_IFDIR | 0o755) for name in sorted(names - {"."}))
    # The kernel opens the console for PID 1 before anything can mount devtmpfs.
    console = Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    rest = sorted(files, key=lambda entry: entry.path)
    return (*folders, console, Entry("init", stat.S_IFREG | 0o755, init), *rest)


def guest_image(arch: Arch = Arch.AMD64, files: Sequence[Entry] = ()) -> GuestImage:
    """Build the guest, or take it from the cache; `files` go in beside PID 1.

    Raises:
        InfrastructureError: it cannot be compiled, or there is no room for it.
    """
    data = pack(manifest(build_guest(arch).read_bytes(), files))
    digest = hashlib.sha256(data).hexdigest()
    folder = cache_dir() / "guest"
    path = folder / f"{digest}.cpio"
    if not path.exists() or path.stat().st_size != len(data):
        scratch = folder / f".{digest}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(data)
            scratch.replace(path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise InfrastructureError(
                "the guest image cannot be stored",
                where=str(path),
                cause=error.strerror or str(error),
                next_step="free some room there, or set KERNLEAP_CACHE to another disk",
            ) from error
    return GuestImage(path, digest)
