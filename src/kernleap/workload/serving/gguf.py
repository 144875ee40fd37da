"""GGUF, the model file format of llama.cpp (version 3): a bounded reader and a small writer.

Layout, little-endian: magic, version, number of tensors, number of key-values; the key-values;
a descriptor per tensor (name, dimensions, type, offset); padding; the tensors. Format and type
numbers: `docs/gguf.md` of the ggml project. Only what stands before the tensors is read here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kernleap.model.errors import UsageError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_MAX_TENSORS = 1 << 20
_MAX_KEYS = 1 << 16
_MAX_STRING_BYTES = 64 << 20
_MAX_HEADER_BYTES = 512 << 20
_KEPT_ARRAY_ITEMS = 4096

UINT32, FLOAT32, BOOL, STRING = 4, 6, 7, 8
_ARRAY = 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    UINT32: "<I",
    5: "<i",
    FLOAT32: "<f",
    BOOL: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}

F32, Q4_0 = 0, 2
TENSOR_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""Names of the tensor types that have been assigned."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor's descriptor. `shape` is fastest-varying first; `type` a TENSOR_TYPES name."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        count = 1
        for side in self.shape:
            count *= side
        return count


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the tensors. Long arrays are cut to their first few thousand items."""

    values: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]


def read_header(path: Path) -> Header:
    """Read a model file up to its tensors.

    Raises:
        UsageError: it cannot be read, is no GGUF, or is damaged; never another error, and never
            more memory than the header has bytes.
    """
    try:
        with path.open("rb") as stream:
            return _Reader(stream, path.stat().st_size).header()
    except OSError as error:
        raise UsageError(
            f"cannot read the model: {error.strerror or error}",
            where=str(path),
            next_step="give the path of a .gguf file",
        ) from error
    except _Malformed as error:
        raise UsageError(
            f"not a whole GGUF model: {error}",
            where=str(path),
            cause="the download was cut short, or the file is of another kind",
            next_step="get the model again, or give the path of a .gguf file",
        ) from error


class _Malformed(Exception):  # noqa: N818  (becomes a UsageError with the file's name)
    """The bytes are no GGUF header."""


class _Reader:
    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = min(size, _MAX_HEADER_BYTES)

    def header(self) -> Header:
        if self._take(4) != _MAGIC:
            raise _Malformed("it does not start with GGUF")
        version = self._number("<I")
        if version not in _VERSIONS:
            raise _Malformed(f"version {version} is not supported (2 and 3 are)")
        tensors, keys = self._number("<Q"), self._number("<Q")
        if tensors > _MAX_TENSORS or keys > _MAX_KEYS:
            raise _Malformed("a header of impossible size")
        values = {}
        for _ in range(keys):
            key = self._string()
            values[key] = self._value(self._number("<I"))
        return Header(values, tuple(self._tensor() for _ in range(tensors)))

    def _tensor(self) -> TensorInfo:
        name = self._string()
        dimensions = self._number("<I")
        if not 1 <= dimensions <= 4:
            raise _Malformed("a tensor of impossible shape")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        kind = self._number("<I")
        self._take(8)
        return TensorInfo(name, shape, TENSOR_TYPES.get(kind, f"type {kind}"))

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind != _ARRAY:
            raise _Malformed(f"a value of unknown type {kind}")
        item, count = self._number("<I"), self._number("<Q")
        if item in _SCALARS:
            width = struct.calcsize(_SCALARS[item])
            data = self._take(count * width)
            kept = data[: _KEPT_ARRAY_ITEMS * width]
            return [value for (value,) in struct.iter_unpack(_SCALARS[item], kept)]
        if item != STRING or count * 8 > self._left:
            raise _Malformed("an array of impossible type or size")
        first = [self._string() for _ in range(min(count, _KEPT_ARRAY_ITEMS))]
        for _ in range(count - len(first)):
            self._take(self._number("<Q"))
        return first

    def _string(self) -> str:
        size = self._number("<Q")
        if size > _MAX_STRING_BYTES:
            raise _Malformed("a text of impossible length")
        return self._take(size).decode("utf-8", "replace")

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _take(self, size: int) -> bytes:
        # Checked before reading: a length in the file must not become memory of ours.
        if size > self._left:
            raise _Malformed("cut short, or lengths beyond its end")
        self._left -= size
        data = self._stream.read(size)
        if len(data) != size:
            raise _Malformed("cut short")
        return data


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor to write: `type` is F32 or Q4_0, `data` its bytes in that type."""

    name: str
    shape: tuple[int, ...]
    type: int
    data: bytes


Value = tuple[int, Any]
"""A type number and a value; a list or tuple as value makes an array of that type."""


def encode(values: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """The bytes of a GGUF version 3 file."""
    parts = [_MAGIC, struct.pack("<IQQ", 3, len(tensors), len(values))]
    for key, (kind, value) in values.items():
        parts.append(_text(key))
        if isinstance(value, list | tuple):
            parts.append(struct.pack("<IIQ", _ARRAY, kind, len(value)))
            parts += [_item(kind, item) for item in value]
        else:
            parts += [struct.pack("<I", kind), _item(kind, value)]
    offset = 0
    for tensor in tensors:
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        parts += [_text(tensor.name), dimensions, struct.pack("<IQ", tensor.type, offset)]
        offset += len(tensor.data) + -len(tensor.data) % _ALIGNMENT
    header = b"".join(parts)
    body = [header, bytes(-len(header) % _ALIGNMENT)]
    for tensor in tensors:
        body += [tensor.data, bytes(-len(tensor.data) % _ALIGNMENT)]
    return b"".join(body)


def _item(kind: int, value: Any) -> bytes:
    return _text(value) if kind == STRING else struct.pack(_SCALARS[kind], value)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data
