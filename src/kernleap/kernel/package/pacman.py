"""Arch and CachyOS packages: a compressed tar with `.PKGINFO` in front."""

from __future__ import annotations

from typing import IO

from kernleap.archive.limits import Damaged, PlainReader
from kernleap.archive.member import Visitor
from kernleap.archive.tar import scan_tar

_MAGICS = {b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zX": "xz", b"\x1f\x8b": "gz"}


def scan(stream: IO[bytes], where: str, members: Visitor) -> None:
    """Show every file of the package to `members`. Raises Damaged, TamperedError."""
    head = stream.read(4)
    stream.seek(0)
    for magic, kind in _MAGICS.items():
        if head.startswith(magic):
            scan_tar(PlainReader(stream, kind, where), members)
            return
    raise Damaged("it starts neither as zstd nor as xz or gzip")
