"""A JSON file from elsewhere, read without believing anything of it.

Every complaint names the file, the key and what wrote the file, as far as that is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from kernleap.model.errors import UsageError

MOST_BYTES = 256 << 20
"""guidellm keeps every request and its text in its file: tens of megabytes are usual."""
MOST_DEPTH = 64
MOST_TEXT = 200
"""Characters that are kept of a name; longer ones are cut."""
_LARGEST = 1e15
"""No latency in ms, rate or count of a benchmark is larger; a file that says so is broken."""


@dataclass(slots=True)
class Origin:
    """Where a document comes from. `writer` is filled in once it is known."""

    path: Path
    sha256: str
    size: int
    writer: str = ""

    def refuse(self, what: str, key: str = "", next_step: str = "") -> NoReturn:
        """Raise the UsageError for this file."""
        where = f"{self.path}, key {key}" if key else str(self.path)
        raise UsageError(
            what,
            where=where,
            cause=f"the file was written by {self.writer}" if self.writer else None,
            next_step=next_step or "kernleap import --help names the formats that are read",
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value with the path that leads to it."""

    value: Any
    origin: Origin = field(repr=False)
    path: str = ""

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def __getitem__(self, key: str) -> Node:
        """The member `key` of an object; UsageError if there is none, or it is null."""
        if not isinstance(self.value, dict):
            self.refuse(f"an object was expected, not {_kind(self.value)}")
        if self.value.get(key) is None:
            self._at(key).refuse("this key is missing")
        return self._at(key)

    def get(self, *keys: str) -> Node | None:
        """The member at the end of `keys`, None if it or one on the way is not there."""
        node = self
        for key in keys:
            if key not in node:
                return None
            node = node._at(key)
        return node

    def items(self) -> Iterator[Node]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            self.refuse(f"an array was expected, not {_kind(self.value)}")
        for position, value in enumerate(self.value):
            yield Node(value, self.origin, f"{self.path}[{position}]")

    def number(self, low: float = 0.0, high: float = _LARGEST) -> float:
        """A finite number within [low, high]."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(f"a number was expected, not {_kind(value)}")
        if not isfinite(value) or not low <= value <= high:
            self.refuse(f"{value:.6g} cannot be: a number from {low:g} to {high:g} was expected")
        return float(value)

    def text(self) -> str:
        """A string, without control characters and not endless."""
        if not isinstance(self.value, str):
            self.refuse(f"a string was expected, not {_kind(self.value)}")
        return clean(self.value)

    def refuse(self, what: str, next_step: str = "") -> NoReturn:
        """Raise the UsageError for this key."""
        self.origin.refuse(what, self.path, next_step)

    def _at(self, key: str) -> Node:
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Node(value, self.origin, f"{self.path}.{clean(key)}" if self.path else clean(key))


def clean(text: str) -> str:
    """Printable, in one line, cut at MOST_TEXT characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MOST_TEXT])


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")


def read(path: Path) -> Node:
    """The document in a file.

    Raises:
        UsageError: it cannot be read, is too large or too deep, is not JSON (NaN and Infinity
            are none), names a key twice, or is not an object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            "Cannot read the file", where=str(path), cause=error.strerror or str(error)
        ) from error
    origin = Origin(path, hashlib.sha256(data).hexdigest(), len(data))
    if len(data) > MOST_BYTES:
        origin.refuse(f"the file has more than {MOST_BYTES >> 20} MiB")
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_members
        )
    except (ValueError, RecursionError) as error:
        hint = _hint(data)
        origin.refuse(f"this is not the JSON of a benchmark: {clean(str(error))}", next_step=hint)
    if not isinstance(value, dict):
        origin.refuse(f"an object was expected, not {_kind(value)}")
    if _depth(value) > MOST_DEPTH:
        origin.refuse(f"it is nested more than {MOST_DEPTH} deep")
    return Node(value, origin)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"key {clean(twice)!r} stands twice")
    return members


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= MOST_DEPTH:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
    return depth


def _hint(data: bytes) -> str:
    lines = data.strip().split(b"\n")
    if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines[:2]):
        return (
            "it has a JSON object in each line: of `vllm bench serve` leave --append-result out "
            "(a file for each run); of aiperf give profile_export_aiperf.json, not the .jsonl"
        )
    return "give the JSON file; CSV, YAML and HTML are not read"
