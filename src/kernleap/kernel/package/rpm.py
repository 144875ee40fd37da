"""RPM packages: lead, signature header, header, then a compressed cpio archive.

Layout after "RPM Package format" of the RPM documentation: a header is the magic 8eade801, a
reserved word, the number of index entries and the bytes of their store; each entry is four
big-endian words (tag, type, offset, count). Headers are read here, and not by a library,
because every length in them is hostile input.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection
from typing import IO

from kernleap.archive.limits import MAX_IMAGE_BYTES, Damaged, PlainReader
from kernleap.archive.member import Kind, Member, Visitor

_LEAD_BYTES = 96
_LEAD_MAGIC = b"\xed\xab\xee\xdb"
_HEADER_MAGIC = b"\x8e\xad\xe8"
_MAX_ENTRIES = 1 << 16
_MAX_STORE_BYTES = 64 << 20
_TAG_COMPRESSOR = 1125
_TAG_PAYLOAD_DIGEST = 5092
_TAG_DIGEST_ALGORITHM = 5093
_SHA256_ALGORITHM = 8
_INT32_KIND = 4
_TEXT_KINDS = {6, 8, 9}
DESCRIPTIONS = {
    1000: "name", 1001: "version", 1002: "release", 1003: "epoch", 1004: "summary",
    1006: "buildtime", 1010: "distribution", 1011: "vendor", 1015: "packager", 1022: "arch",
    1044: "sourcerpm",
}  # fmt: skip
_SIGNATURES = {267, 268, 1002, 1005}
"""RPMSIGTAG_DSA, RSA (of the header), PGP and GPG (of header and payload)."""
_COMPRESSORS = {"xz": "xz", "lzma": "lzma", "zstd": "zst", "gzip": "gz", "": "gz"}
_CPIO_MAGICS = {b"070701", b"070702"}
_CPIO_HEADER_BYTES = 110
_TRAILER = "TRAILER!!!"
_MAX_NAME_BYTES = 4096
_CHUNK = 256 << 10


def scan(stream: IO[bytes], where: str, members: Visitor) -> None:
    """Show every file of the package to `members`. Raises Damaged, TamperedError."""
    _, tags = _headers(stream)
    compressor = _text(tags, _TAG_COMPRESSOR)
    if compressor not in _COMPRESSORS:
        raise Damaged(f"its payload is compressed with `{compressor}`, which is not supported")
    _check_payload(stream, tags)
    _scan_cpio(PlainReader(stream, _COMPRESSORS[compressor], where), members)


def describe(stream: IO[bytes]) -> tuple[dict[str, str], bool]:
    """What the header says: texts by the names of DESCRIPTIONS, and whether it is signed.

    Raises Damaged. `buildtime` is seconds since the epoch, in digits.
    """
    signature, tags = _headers(stream)
    texts = {}
    for tag, name in DESCRIPTIONS.items():
        kind, data = tags.get(tag, (0, b""))
        if kind in _TEXT_KINDS:
            texts[name] = _text(tags, tag)
        elif kind == _INT32_KIND and len(data) >= 4:
            texts[name] = str(int.from_bytes(data[:4], "big"))
    return texts, any(tag in signature for tag in _SIGNATURES)


_Tags = dict[int, tuple[int, bytes]]


def _headers(stream: IO[bytes]) -> tuple[_Tags, _Tags]:
    """The signature's header and the package's; the payload follows."""
    lead = stream.read(_LEAD_BYTES)
    if len(lead) != _LEAD_BYTES or lead[:4] != _LEAD_MAGIC:
        raise Damaged("it does not start as an rpm")
    signature = _header(stream, _SIGNATURES)
    stream.seek(-stream.tell() % 8, 1)
    wanted = {_TAG_COMPRESSOR, _TAG_PAYLOAD_DIGEST, _TAG_DIGEST_ALGORITHM, *DESCRIPTIONS}
    return signature, _header(stream, wanted)


def _header(stream: IO[bytes], wanted: Collection[int]) -> _Tags:
    fixed = stream.read(16)
    if len(fixed) != 16 or fixed[:3] != _HEADER_MAGIC:
        raise Damaged("a broken header")
    entries, store_bytes = struct.unpack(">II", fixed[8:])
    if entries > _MAX_ENTRIES or store_bytes > _MAX_STORE_BYTES:
        raise Damaged("a header of impossible size")
    index = stream.read(entries * 16)
    store = stream.read(store_bytes)
    if len(index) != entries * 16 or len(store) != store_bytes:
        raise Damaged("cut short")
    return {
        tag: (kind, store[offset:])
        for tag, kind, offset, _ in struct.iter_unpack(">IIII", index)
        if tag in wanted and offset <= store_bytes
    }


def _text(tags: _Tags, tag: int) -> str:
    _, data = tags.get(tag, (0, b""))
    return data.split(b"\0", 1)[0][:256].decode("ascii", "replace")


def _check_payload(stream: IO[bytes], tags: _Tags) -> None:
    """Compare the payload with the digest in the header, where there is one."""
    promised = _text(tags, _TAG_PAYLOAD_DIGEST)
    _, algorithm = tags.get(_TAG_DIGEST_ALGORITHM, (0, b""))
    if not promised or int.from_bytes(algorithm[:4], "big") != _SHA256_ALGORITHM:
        return
    start = stream.tell()
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != promised:
        raise Damaged("its payload does not match the digest in its header")
    stream.seek(start)


def _scan_cpio(stream: PlainReader, members: Visitor) -> None:
    while True:
        header = _exactly(stream, _CPIO_HEADER_BYTES)
        if header[:6] not in _CPIO_MAGICS:
            raise Damaged("its payload is not a cpio archive of the usual form")
        mode, size, name_bytes = (_hex(header, field) for field in (1, 6, 11))
        if not 1 < name_bytes <= _MAX_NAME_BYTES:
            raise Damaged("a file name of impossible length")
        raw_name = _exactly(stream, name_bytes)
        _exactly(stream, -(_CPIO_HEADER_BYTES + name_bytes) % 4)
        name = raw_name[:-1].decode("utf-8", "surrogateescape")
        if name == _TRAILER:
            break
        entry = _Entry(stream, size)
        # Names start with `./` or, in old packages, with `/`: the root of the package.
        shown = name[1:] if name.startswith("/") else name
        target = ""
        if mode & 0o170000 == 0o120000:
            if size > _MAX_NAME_BYTES:
                raise Damaged("a link of impossible length")
            target = entry.read().decode("utf-8", "surrogateescape")
        members.visit(Member(shown, _kind(mode), size, target), entry.read)
        entry.skip()
    stream.drain()


class _Entry:
    """The bytes of one member, read once or skipped."""

    def __init__(self, stream: PlainReader, size: int) -> None:
        self._stream = stream
        self._size = size
        self._done = False

    def read(self) -> bytes:
        if self._size > MAX_IMAGE_BYTES:
            raise Damaged("a file beyond the limit")
        self._done = True
        data = _exactly(self._stream, self._size)
        _exactly(self._stream, -self._size % 4)
        return data

    def skip(self) -> None:
        if self._done:
            return
        left = self._size + -self._size % 4
        while left:
            left -= len(_exactly(self._stream, min(left, _CHUNK)))


def _exactly(stream: PlainReader, size: int) -> bytes:
    data = stream.read(size) if size else b""
    if len(data) != size:
        raise Damaged("cut short")
    return data


def _hex(header: bytes, field: int) -> int:
    text = header[6 + 8 * field : 14 + 8 * field]
    try:
        return int(text, 16)
    except ValueError:
        raise Damaged("a broken cpio header") from None


def _kind(mode: int) -> Kind:
    kinds = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.LINK}
    return kinds.get(mode & 0o170000, Kind.DEVICE)
