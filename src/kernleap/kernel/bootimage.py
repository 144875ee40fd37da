"""Boot images: is this file a kernel that can be booted, for which architecture, and what
does it call itself?

x86: the boot protocol's header (Documentation/arch/x86/boot.rst): `HdrS` at 0x202, the offset
of the version string at 0x20E. arm64: `ARM\\x64` at 0x38 (Documentation/arch/arm64/booting.rst),
plain or in gzip; its banner `Linux version ...` is found by search.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch

_X86_MAGIC = b"HdrS"
_ARM64_MAGIC = b"ARM\x64"
_GZIP_MAGIC = b"\x1f\x8b"
_ZBOOT_MAGIC = b"zimg"
_ELF_MAGIC = b"\x7fELF"
_BANNER = re.compile(rb"Linux version ([\x21-\x7e]{3,128}) ")
_RELEASE = re.compile(r"\d+\.\d+[A-Za-z0-9.+~_\-]*")
_MAX_IMAGE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BootImage:
    """What a boot image says of itself. `release` is "" where it says nothing."""

    arch: Arch
    release: str


def inspect(data: bytes, where: str) -> BootImage:
    """Recognise a boot image.

    Raises:
        UsageError: `data` is no image that the lab could boot; says what it looks like.
    """
    if len(data) > 0x264 and data[0x202:0x206] == _X86_MAGIC:
        return BootImage(Arch.AMD64, _x86_release(data, where))
    if data[:2] == _GZIP_MAGIC:
        return _inspect_arm64(_gunzip(data, where), where)
    if data[4:8] == _ZBOOT_MAGIC:
        raise _not_bootable(where, "an EFI zboot image, which holds a compressed kernel")
    if data[0x38:0x3C] == _ARM64_MAGIC:
        return _inspect_arm64(data, where)
    if data[:4] == _ELF_MAGIC:
        raise _not_bootable(
            where, "an ELF file (a vmlinux); the boot image is arch/x86/boot/bzImage or vmlinuz"
        )
    what = "an empty file" if not data else "neither an x86 bzImage nor an arm64 Image"
    raise _not_bootable(where, what)


def inspect_for(data: bytes, arch: Arch, where: str) -> BootImage:
    """Like `inspect`, and the architecture must be `arch`."""
    image = inspect(data, where)
    if image.arch is not arch:
        raise UsageError(
            f"this kernel is built for {image.arch.value}, not for {arch.value}",
            where=where,
            next_step=f"give a kernel for {arch.value}, or say --arch {image.arch.value}",
        )
    return image


def inspect_path(path: Path, arch: Arch) -> tuple[bytes, BootImage]:
    """Read a boot image from disk. OSError as from reading; else as `inspect_for`."""
    if path.stat().st_size > _MAX_IMAGE_BYTES:
        raise _not_bootable(str(path), f"larger than {_MAX_IMAGE_BYTES >> 20} MiB")
    data = path.read_bytes()
    return data, inspect_for(data, arch, str(path))


def _x86_release(data: bytes, where: str) -> str:
    offset = int.from_bytes(data[0x20E:0x210], "little")
    if offset == 0:
        return ""
    start = offset + 0x200
    text = data[start : start + 256].split(b"\0", 1)[0].decode("ascii", "replace")
    return _plausible(text.split(" ", 1)[0], where)


def _inspect_arm64(data: bytes, where: str) -> BootImage:
    if data[0x38:0x3C] != _ARM64_MAGIC:
        raise _not_bootable(where, "a gzip file that holds no arm64 Image")
    banner = _BANNER.search(data)
    release = _plausible(banner.group(1).decode("ascii"), where) if banner else ""
    return BootImage(Arch.ARM64, release)


def _plausible(release: str, where: str) -> str:
    if not _RELEASE.fullmatch(release) or len(release) > 128:
        raise _not_bootable(where, f"an image whose header names the release {release!r}")
    return release


def _gunzip(data: bytes, where: str) -> bytes:
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(data, _MAX_IMAGE_BYTES)
    except zlib.error as error:
        raise _not_bootable(where, f"a damaged gzip file ({error})") from error
    if inflate.unconsumed_tail or not inflate.eof:
        raise _not_bootable(where, "a gzip file that is cut short or unfolds without end")
    return plain


def _not_bootable(where: str, what: str) -> UsageError:
    return UsageError(
        f"not a bootable kernel image: it is {what}",
        where=where,
        next_step="give a vmlinuz, bzImage or arm64 Image",
    )
