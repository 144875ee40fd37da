"""Limits on what a package may make us read, and readers that hold them."""

from __future__ import annotations

import io
import lzma
import time
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from kernleap.model.errors import TamperedError

MAX_IMAGE_BYTES = 256 << 20
MAX_CONFIG_BYTES = 8 << 20
MAX_TOTAL_BYTES = 8 << 30
MAX_MEMBERS = 100_000
MAX_RATIO = 100
"""Kernel packages unfold to about 5 times their size; xz makes 1:7000 of zeros."""
RATIO_FREE_BYTES = 64 << 20
MAX_SECONDS = 300.0
_CHUNK = 256 << 10
_ZSTD_STEP = 2 << 10
_ZSTD_WINDOW = 1 << 27
"""128 MiB: what `zstd --ultra -22` writes by default; more is refused."""


class Damaged(Exception):  # noqa: N818  (becomes a TamperedError with the package's name)
    """The bytes are no whole archive of the kind expected."""


class Readable(Protocol):
    """Something with `read`, which is all that is asked of a compressed stream."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class PlainReader(io.RawIOBase):
    """Reads a stream through a decompressor and holds the limits on its output.

    Args:
        stream: the compressed bytes; read no further than needed.
        kind: `xz`, `zst`, `gz`, `lzma` or `` for none.
        where: name of the package, for errors.

    Raises (from `read`):
        TamperedError: a decompression bomb.
        Damaged: the stream is cut short or not of that kind.
    """

    def __init__(self, stream: Readable, kind: str, where: str) -> None:
        super().__init__()
        self._stream = _Counting(stream)
        self._where = where
        self._plain = _open(self._stream, kind)
        self.total = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` plain bytes; fewer only at the end."""
        wanted = _CHUNK if size is None or size < 0 else size
        parts: list[bytes] = []
        while wanted > 0:
            piece = self._plain(min(wanted, _CHUNK))
            if not piece:
                break
            self.total += len(piece)
            self._check()
            parts.append(piece)
            wanted -= len(piece)
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end, so that a stream cut short behind the last member shows."""
        while self.read(_CHUNK):
            pass

    def _check(self) -> None:
        ratio = self.total / max(self._stream.total, 1)
        if self.total > MAX_TOTAL_BYTES:
            self._refuse(f"more than {MAX_TOTAL_BYTES >> 30} GiB")
        if self.total > RATIO_FREE_BYTES and ratio > MAX_RATIO:
            self._refuse(f"{ratio:.0f} times its size")
        if time.monotonic() > self._deadline:
            self._refuse(f"for more than {MAX_SECONDS:.0f} s")

    def _refuse(self, how: str) -> None:
        raise TamperedError(
            f"the package unfolds to {how}: it looks like a decompression bomb",
            where=self._where,
            next_step="get the package from a source you trust",
        )


class _Counting:
    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.total = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.total += len(data)
        return data


def _open(stream: _Counting, kind: str) -> Callable[[int], bytes]:
    if kind == "":
        return stream.read
    if kind == "zst":
        return _incremental(stream, _Zstd)
    if kind in {"xz", "lzma"}:
        lzma_format = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
        return _incremental(stream, lambda: _Lzma(lzma_format))
    if kind == "gz":
        return _incremental(stream, _Gzip)
    raise Damaged(f"compressed with `{kind}`, which is not supported (xz, zst, gz are)")


class _Step(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...
    def step(self, data: bytes, limit: int) -> bytes: ...
    def needs_input(self) -> bool: ...


class _Lzma:
    def __init__(self, lzma_format: int) -> None:
        self._inner = lzma.LZMADecompressor(lzma_format, memlimit=256 << 20)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data

    def step(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(data, limit)

    def needs_input(self) -> bool:
        return self._inner.needs_input


class _Zstd:
    """zstandard's own stream reader takes a frame that is cut short for a whole one."""

    def __init__(self) -> None:
        inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._inner = inner.decompressobj()
        self._input = memoryview(b"")
        self._output = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._inner.eof and not self._output

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data + bytes(self._input)

    def step(self, data: bytes, limit: int) -> bytes:
        if data:
            self._input = memoryview(data)
        while not self._output and not self._inner.eof and self._input:
            # Output cannot be bounded, but input can: a frame unfolds 32,768-fold at most.
            piece, self._input = self._input[:_ZSTD_STEP], self._input[_ZSTD_STEP:]
            self._output = memoryview(self._inner.decompress(piece))
        out, self._output = self._output[:limit], self._output[limit:]
        return bytes(out)

    def needs_input(self) -> bool:
        return not self._output and not self._input


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        return self._inner.unused_data

    def step(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, limit)

    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail


def _incremental(stream: _Counting, make: Callable[[], _Step]) -> Callable[[int], bytes]:
    """Bounded output from a decompressor; several streams in a row count as one."""
    current = make()

    def read(limit: int) -> bytes:
        nonlocal current
        while True:
            carried = b""
            if current.eof:
                carried = current.rest.lstrip(b"\0") or stream.read(_CHUNK).lstrip(b"\0")
                if not carried:
                    return b""
                current = make()
            elif current.needs_input():
                carried = stream.read(_CHUNK)
                if not carried:
                    raise Damaged("cut short")
            try:
                piece = current.step(carried, limit)
            except (lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
                raise Damaged(f"damaged ({error})") from error
            if piece:
                return piece

    return read
