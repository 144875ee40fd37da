"""What an ELF file needs to be loaded: its interpreter and shared libraries.

Only the dynamic section is read (System V ABI, chapter 5). Offsets and counts are checked
against the file, which may be anyone's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import TamperedError

_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
_MAX_SEGMENTS = 256
_MAX_NAME_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Dynamic:
    """`interpreter` is "" for libraries; `needed` are sonames in link order.

    `search` are the directories that the file itself names (RUNPATH), in order.
    """

    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...] = ()


def read_dynamic(path: Path) -> Dynamic | None:
    """The dynamic needs of a 64-bit little-endian ELF file, None for any other file.

    Raises:
        TamperedError: it says ELF, but its tables lie outside the file.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    try:
        return _read(data)
    except (struct.error, ValueError) as error:
        raise TamperedError(
            "a damaged ELF file", where=str(path), cause=str(error) or "its tables are cut short"
        ) from error


def _read(data: bytes) -> Dynamic:
    _, _, _, _, phoff, _, _, _, phentsize, phnum, *_ = _HEADER.unpack_from(data)
    if phentsize != _SEGMENT.size or phnum > _MAX_SEGMENTS:
        raise ValueError("a program header table of impossible size")
    segments = [_SEGMENT.unpack_from(data, phoff + i * phentsize) for i in range(phnum)]
    loads = [(s[3], s[2], s[5]) for s in segments if s[0] == _PT_LOAD]
    interpreter = next((_text(data, s[2]) for s in segments if s[0] == _PT_INTERP), "")
    needed, search, strings = [], [], None
    for kind, _, offset, _, _, size, _, _ in segments:
        if kind != _PT_DYNAMIC:
            continue
        if offset + size > len(data):
            raise ValueError("its dynamic section lies outside the file")
        for tag, value in _DYNAMIC.iter_unpack(data[offset : offset + size - size % 16]):
            if tag == _DT_NEEDED:
                needed.append(value)
            elif tag in {_DT_RPATH, _DT_RUNPATH}:
                search.append(value)
            elif tag == _DT_STRTAB:
                strings = _file_offset(loads, value)
    if strings is None:
        return Dynamic(interpreter, ())  # static
    directories = ":".join(_text(data, strings + offset) for offset in search)
    return Dynamic(
        interpreter,
        tuple(_text(data, strings + offset) for offset in needed),
        tuple(filter(None, directories.split(":"))),
    )


def _file_offset(loads: list[tuple[int, int, int]], address: int) -> int:
    for start, offset, size in loads:
        if start <= address < start + size:
            return address - start + offset
    raise ValueError("its string table is in no segment")


def _text(data: bytes, offset: int) -> str:
    if not 0 <= offset < len(data):
        raise ValueError("a name lies outside the file")
    end = data.find(b"\0", offset, offset + _MAX_NAME_BYTES)
    if end < 0:
        raise ValueError("a name without end")
    return data[offset:end].decode("utf-8", "replace")
