"""What is read from a file, whatever tool wrote it; and the registry of formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from kernleap.imported.document import Node, read
from kernleap.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class Load:
    """One load that a tool measured.

    Attributes:
        values: by quantity (`quantities.QUANTITIES`), in its unit.
        settings: what the server was asked for.
    """

    values: Mapping[str, float]
    settings: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A file of results: one trial.

    Attributes:
        tool: the format's name.
        version: of the tool, as the file says, or how far it can be told.
        started: seconds since 1970, for order alone: tools that write local time are taken at
            their word. None where the file does not say.
        started_text: the same as the file has it.
        loads: one, or several where the tool swept over rates.
    """

    tool: str
    version: str
    started: float | None
    started_text: str
    loads: tuple[Load, ...]
    path: Path
    sha256: str
    size: int
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the whole file."""


class Format(Protocol):
    """A tool's form of file. One instance each, in `FORMATS`."""

    name: str
    """What the tool is called; also the form in names of metrics."""
    looks_like: str
    """What tells it from others, for errors."""
    definitions: Mapping[str, str]
    """How the tool defines each quantity it has, with the key it is read from."""

    def recognises(self, document: Node) -> bool:
        """Whether the file is of this tool."""
        ...

    def read(self, document: Node) -> Result:
        """Read it.

        Raises:
            UsageError: something is missing or cannot be; names key, tool and version.
        """
        ...


FORMATS: dict[str, Format] = {}


_F = TypeVar("_F", bound=Callable[[], Format])


def register(kind: _F) -> _F:
    """Class decorator: enter one instance of a format under its name."""
    instance = kind()
    FORMATS[instance.name] = instance
    return kind


def read_result(path: Path) -> Result:
    """Read a file of any format known.

    Raises:
        UsageError: it cannot be read, is of no format known, or is broken.
    """
    document = read(path)
    for form in FORMATS.values():
        if form.recognises(document):
            document.origin.writer = form.name
            return form.read(document)
    keys = ", ".join(list(document.value)[:8])[:200] or "none"
    raise UsageError(
        "no load generator known wrote this file",
        where=str(path),
        cause=f"its keys are {keys}",
        next_step="; ".join(f"{f.name}: {f.looks_like}" for f in FORMATS.values()),
    )
