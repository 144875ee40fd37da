"""What can be turned about the kernel's part of a token, and which of its code each touches."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from importlib import resources

from kernleap.judge.explain import group

OTHER = "other"
_CLONE = re.compile(r"\.[\w.]+$")


def lever_of(frames: Sequence[str]) -> str:
    """The lever that acts on a stack, the innermost frame first."""
    return next((found for f in frames if (found := _lever(f))), OTHER)


@dataclass(frozen=True, slots=True)
class Lever:
    """What can be turned, and what it acts by."""

    name: str
    acts: str


def levers() -> dict[str, Lever]:
    """All levers by name."""
    return {lever.name: lever for lever, _, _ in _table()}


@lru_cache(maxsize=65536)
def _lever(function: str) -> str | None:
    name = _CLONE.sub("", function)
    for lever, functions, _ in _table():
        if functions.fullmatch(name):
            return lever.name
    subsystem = group(name)
    return next((lever.name for lever, _, groups in _table() if subsystem in groups), None)


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[Lever, re.Pattern[str], frozenset[str]], ...]:
    """Each lever with its functions and its groups."""
    text = resources.files("kernleap.judge").joinpath("levers.toml").read_text("utf-8")
    return tuple(
        (
            Lever(entry["name"], entry["acts"]),
            re.compile("|".join(translate(p) for p in entry.get("functions", ())) or r"(?!)"),
            frozenset(entry["groups"]),
        )
        for entry in tomllib.loads(text)["lever"]
    )
