"""What archives are made of, and the first rules for it: paths that stay inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    HARD_LINK = "hard link"
    DEVICE = "device node"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive, before its bytes are read."""

    name: str
    kind: Kind
    size: int
    target: str = ""
    """Where a link points."""


class Visitor(Protocol):
    """Whoever looks at the members of an archive."""

    def visit(self, member: Member, read: Callable[[], bytes]) -> None:
        """Judge one member; call `read` for its bytes only if they are wanted."""
        ...


class Unsafe(Exception):  # noqa: N818  (becomes a TamperedError with the package's name)
    """A name or a link that does not stay inside its package."""


def inside(name: str) -> str:
    """A member's name in its plain form: no leading `./`, no empty parts.

    Raises:
        Unsafe: it is absolute, climbs, or holds a NUL.
    """
    if name.startswith("/"):
        raise Unsafe("it holds an absolute path")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise Unsafe("it holds a path that leads out of it")
    if "\0" in name:
        raise Unsafe("it holds a path with a NUL")
    return "/".join(parts)


def link_target(path: str, member: Member) -> str:
    """Path in the package that a link at `path` leads to.

    Raises:
        Unsafe: it climbs out of the package.
    """
    if member.kind is Kind.LINK and not member.target.startswith("/"):
        parts = [*path.split("/")[:-1], *member.target.split("/")]
    else:
        parts = member.target.split("/")  # from the package's root
    resolved: list[str] = []
    for part in parts:
        if part == "..":
            if not resolved:
                raise Unsafe("a link leads out of it")
            resolved.pop()
        elif part not in {"", "."}:
            resolved.append(part)
    return "/".join(resolved)
