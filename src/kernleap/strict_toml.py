"""Strict TOML tables: every complaint names the key, the file and the line."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernleap.model.errors import UsageError

_HEADER = re.compile(r"^\s*\[(?P<array>\[)?\s*(?P<name>[^\]]+?)\s*\]")
_KEY = re.compile(
    r"^\s*(?P<key>(?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w-]+))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(text))


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key (as its full path) and each table is first named."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    items: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            path = table = _dotted(header["name"])
            if header["array"]:
                found.setdefault(path, number)
                items[path] += 1
                path = table = (*path, str(items[path]))
        elif key := _KEY.match(line):
            path = table + _dotted(key["key"])
        else:
            continue
        for length in range(1, len(path) + 1):
            found.setdefault(path[:length], number)
    return found


@dataclass(frozen=True, slots=True)
class Table:
    """A TOML table with the place it came from, and a default behind every key.

    `subject` says what the file is (`policy`, `fleet`), for messages.
    """

    values: Mapping[str, Any]
    file: str
    subject: str
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    fallback: Table | None = None

    def over(self, fallback: Table) -> Table:
        """This table, with `fallback` answering for the keys it leaves out."""
        behind = None if fallback is self else fallback
        return Table(self.values, self.file, self.subject, self.lines, self.path, behind)

    def names(self) -> tuple[str, ...]:
        """Own keys first, then those only the fallback has."""
        more = self.fallback.names() if self.fallback else ()
        return tuple(dict.fromkeys((*self.values, *more)))

    def has(self, key: str) -> bool:
        """Whether the key has a value, own or default."""
        return key in self.names()

    def error(self, what: str, key: str, next_step: str) -> UsageError:
        """A usage error at that key."""
        path = (*self.path, key)
        line = self.lines.get(path) or self.lines.get(self.path)
        place = f"{self.file}, line {line}" if line else self.file
        return UsageError(
            f"{self.subject}: {what}", where=f"{place}, key {'.'.join(path)}", next_step=next_step
        )

    def only(self, *known: str) -> None:
        """Refuse keys that are not known."""
        for key in self.values:
            if key not in known:
                raise self.error(f"unknown key {key!r}", key, f"known here: {', '.join(known)}")

    def table(self, key: str) -> Table:
        """The sub-table of that name (empty if nobody has it)."""
        path = (*self.path, key)
        behind = self.fallback.table(key) if self.fallback else None
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(f"{key!r} must be a table", key, f"write [{'.'.join(path)}]")
        return Table(value, self.file, self.subject, self.lines, path, behind)

    def tables(self, key: str) -> tuple[Table, ...]:
        """The tables of an array, in order; their path ends with their number, from 1."""
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, Mapping) for v in values):
            path = ".".join((*self.path, key))
            raise self.error(f"{key!r} must be an array of tables", key, f"write [[{path}]]")
        return tuple(
            Table(value, self.file, self.subject, self.lines, (*self.path, key, str(number)))
            for number, value in enumerate(values, start=1)
        )

    def value(self, key: str) -> Any:
        """What the key holds, whatever that is."""
        if key in self.values:
            return self.values[key]
        if self.fallback is not None and self.fallback.has(key):
            return self.fallback.value(key)
        raise self.error(f"{key!r} is missing", key, f"add {key} = ...")

    def text(self, key: str) -> str:
        """A string that is not empty."""
        value = self.value(key)
        if not isinstance(value, str) or not value:
            raise self.error(f"{key!r} must be a non-empty string", key, f'write {key} = "..."')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self.value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{key!r} must be a list of strings", key, f'write {key} = ["..."]')
        return tuple(value)

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of the allowed strings."""
        value = self.value(key)
        if value not in allowed:
            raise self.error(f"{key} = {value!r} is not known", key, f"use {', '.join(allowed)}")
        return str(value)

    def choices(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """A list of allowed strings, not empty."""
        value = self.texts(key)
        if not value or any(item not in allowed for item in value):
            raise self.error(
                f"{key} = {list(value)!r} is not known", key, f"use any of {', '.join(allowed)}"
            )
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.error(f"{key!r} must be true or false", key, f"write {key} = true")
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """A number within [low, high]."""
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{key!r} must be a number", key, f"write {key} = {low:g}")
        if not low <= value <= high:
            raise self.error(f"{key} = {value:g} is out of range", key, f"use {low:g} to {high:g}")
        return float(value)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number within [low, high]."""
        value = self.value(key)
        if not isinstance(value, int):
            raise self.error(f"{key!r} must be a whole number", key, f"write {key} = {low}")
        return int(self.number(key, low, high))


def parse(text: str, file: str, subject: str) -> Table:
    """Parse TOML.

    Raises:
        UsageError: not TOML; the parser's message names the line.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"the {subject} is not valid TOML",
            where=file,
            cause=str(error),
            next_step="mend that line",
        ) from error
    return Table(values, file, subject, _lines(text))
