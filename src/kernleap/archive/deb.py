"""Debian packages (deb(5)): an ar archive with `debian-binary`, control and data tars."""

from __future__ import annotations

import io
from typing import IO

from kernleap.archive.limits import Damaged, PlainReader
from kernleap.archive.member import Visitor
from kernleap.archive.tar import scan_tar

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_HEADER_END = b"`\n"
_MAX_AR_MEMBERS = 32
_COMPRESSIONS = {
    "": "",
    ".xz": "xz",
    ".zst": "zst",
    ".gz": "gz",
    ".lzma": "lzma",
}


def scan(stream: IO[bytes], where: str, members: Visitor) -> None:
    """Show every file of the package to `members`. Raises Damaged, TamperedError."""
    _scan_part(stream, where, members, "data")


def scan_control(stream: IO[bytes], where: str, members: Visitor) -> None:
    """Show every file of the control part (`control` and its like) to `members`."""
    _scan_part(stream, where, members, "control")


def _scan_part(stream: IO[bytes], where: str, members: Visitor, part: str) -> None:
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise Damaged("it does not start as an ar archive")
    for number in range(_MAX_AR_MEMBERS):
        header = stream.read(_HEADER_BYTES)
        if len(header) != _HEADER_BYTES or header[58:60] != _HEADER_END:
            raise Damaged("cut short, or without data" if not header else "a broken ar header")
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        size = _decimal(header[48:58])
        if number == 0 and name != "debian-binary":
            raise Damaged("its first part is not debian-binary")
        if name.startswith(f"{part}.tar"):
            kind = name.removeprefix(f"{part}.tar")
            if kind not in _COMPRESSIONS:
                raise Damaged(f"{name} is compressed in a way that is not supported")
            data = PlainReader(_Window(stream, size), _COMPRESSIONS[kind], where)
            scan_tar(data, members)
            return
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise Damaged(f"it has no {part} part")


def _decimal(text: bytes) -> int:
    digits = text.strip()
    if not digits.isdigit():
        raise Damaged("a broken ar header")
    return int(digits)


class _Window:
    """The next `size` bytes of a stream; ending earlier is damage."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, all that is left if negative."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise Damaged("cut short")
        self._left -= len(data)
        return data
