"""Strict, lossless JSON for frozen dataclasses: what is written reads back equal, or fails.

One generic pair of functions serves plan.json and the headers of trial files, so that a new
field of a dataclass needs no code here. Reading is strict: an unknown key, a missing key
without a default, or a value of another type is an error that names the place.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class CodecError(ValueError):
    """The data does not have the shape of the type it is read as. Names the place."""


def encode(value: Any) -> Any:
    """The JSON form of a dataclass, enum, tuple, list, dict or scalar.

    Raises:
        CodecError: for anything JSON has no lossless form of (an object, a non-string key).
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise CodecError(f"key {bad[0]!r} is not a string")
        return {key: encode(item) for key, item in value.items()}
    raise CodecError(f"a {type(value).__name__} cannot be stored: {value!r}")


def decode(kind: type[T], data: Any, where: str = "") -> T:
    """Read `data` (parsed JSON) as a `kind`; the inverse of `encode`.

    Raises:
        CodecError: naming the key path where data and type disagree.
    """
    result: T = _decode(kind, data, where)
    return result


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, data: Any, where: str) -> Any:  # noqa: PLR0911 - one return a kind
    origin = get_origin(kind)
    if kind is Any:
        return data
    if origin in (Union, types.UnionType):
        return _decode_optional(kind, data, where)
    if origin is tuple:
        return _decode_tuple(get_args(kind), data, where)
    if origin is dict:
        value_kind = get_args(kind)[1]
        items = _expect(dict, data, where)
        return {key: _decode(value_kind, item, f"{where}.{key}") for key, item in items.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            choices = ", ".join(repr(member.value) for member in kind)
            raise CodecError(f"{where}: {data!r} is not one of {choices}") from None
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return _expect(kind, data, where)


def _expect(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise CodecError(f"{where or 'the document'}: expected {kind.__name__}, found {data!r:.80}")
    return data


def _decode_optional(kind: Any, data: Any, where: str) -> Any:
    if data is None:
        return None
    (inner,) = (arg for arg in get_args(kind) if arg is not type(None))
    return _decode(inner, data, where)


def _decode_tuple(args: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    items = _expect(list, data, where)
    if len(args) == 2 and args[1] is Ellipsis:
        kinds = [args[0]] * len(items)
    elif len(args) == len(items):
        kinds = list(args)
    else:
        raise CodecError(f"{where}: expected {len(args)} items, found {len(items)}")
    return tuple(
        _decode(kind, item, f"{where}[{n}]")
        for n, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _decode_dataclass(kind: Any, data: Any, where: str) -> Any:
    items = _expect(dict, data, where)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    prefix = f"{where}." if where else ""
    if unknown := sorted(items.keys() - fields.keys()):
        raise CodecError(f"{prefix}{unknown[0]}: unknown key")
    needed = {
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(needed - items.keys()):
        raise CodecError(f"{prefix}{missing[0]}: missing key")
    hints = _hints(kind)
    return kind(
        **{name: _decode(hints[name], item, f"{prefix}{name}") for name, item in items.items()}
    )
