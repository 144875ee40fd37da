"""The members of a tar stream, without seeking and without trust."""

from __future__ import annotations

import tarfile
from functools import partial

from kernleap.archive.limits import Damaged, PlainReader
from kernleap.archive.member import Kind, Member, Visitor


def scan_tar(stream: PlainReader, scan: Visitor) -> None:
    """Show every member to `scan`. Damaged or tarfile.TarError when it is no whole tar."""
    count = 0
    # ignore_zeros stays off, so that what follows the end of the archive is not looked at.
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
        for info in archive:
            count += 1
            scan.visit(_member(info), partial(_read, archive, info))
    if count == 0:
        raise Damaged("its archive is empty")
    stream.drain()


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(info)
    if stream is None:
        raise Damaged(f"no bytes for {info.name!r}")
    with stream:
        return stream.read(info.size)


def _member(info: tarfile.TarInfo) -> Member:
    if info.issym():
        kind = Kind.LINK
    elif info.islnk():
        kind = Kind.HARD_LINK
    elif info.isdir():
        kind = Kind.DIRECTORY
    elif info.isreg():
        kind = Kind.FILE
    else:
        kind = Kind.DEVICE
    return Member(info.name, kind, info.size, info.linkname)
