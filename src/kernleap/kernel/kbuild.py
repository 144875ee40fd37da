"""Which configuration options a source file depends on, by the makefiles of a kernel tree.

A file is built if its own directory's makefile says so and every directory above is entered:
`obj-$(CONFIG_X) += a.o` names objects, `a-y := b.o` and `a-$(CONFIG_Y) += b.o` what a composite
object is made of (Documentation/kbuild/makefiles.rst). Conditionals around such lines are not
followed: a line within one still names its own option, and a name that no line mentions is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kernleap.model.errors import UsageError

_LINE = re.compile(
    r"^\s*(?P<target>[\w.+-]+?)-(?:\$[({]CONFIG_(?P<option>\w+)[)}]|(?P<always>y|m|objs))"
    r"\s*(?::=|\+=|=)\s*(?P<words>.*)$"
)
_MAX_MAKEFILE_BYTES = 1 << 20
_SOURCES = (".c", ".S", ".rs")
_TOPS = ("arch/x86/", "arch/arm64/")


@dataclass(slots=True)
class _Makefile:
    """`parents` maps an object or directory to (what it goes into, option or "")."""

    parents: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


_Reader = Callable[[str], _Makefile | None]
_Way = frozenset[str]
Ways = tuple[tuple[str, ...], ...]
_ALWAYS: frozenset[_Way] = frozenset({frozenset()})
_MAX_WAYS = 64


def conditions(tree: Path, files: Iterable[str]) -> dict[str, Ways | None]:
    """For each source file the ways in which it gets built; None if the tree does not tell.

    A way is the options that must all be on, an empty one means: always built. A file may be
    part of several objects, and is built if any of its ways is open.

    Raises:
        UsageError: it is no kernel tree.
    """
    if not (tree / "Makefile").is_file() or not (tree / "Kconfig").is_file():
        raise UsageError(
            "this is no kernel source tree",
            where=str(tree),
            cause="it has no Makefile and Kconfig at its top",
            next_step="give the top of the sources",
        )

    @cache
    def makefile(directory: str) -> _Makefile | None:
        return _read(tree / directory)

    found: dict[str, Ways | None] = {}
    for name in files:
        ways = _of_file(name, makefile)
        found[name] = tuple(sorted(tuple(sorted(way)) for way in ways)) or None
    return found


def _of_file(name: str, makefile: _Reader) -> frozenset[_Way]:
    """The ways of a source file; none if they are not known."""
    directory, _, base = name.rpartition("/")
    if not directory or ".." in name or not name.endswith(_SOURCES):
        return frozenset()
    wanted = base.rpartition(".")[0] + ".o"
    # A directory without a makefile is named in that of a directory above: `kvm-y += vmx/vmx.o`.
    while (here := makefile(directory)) is None and directory:
        directory, _, last = directory.rpartition("/")
        wanted = f"{last}/{wanted}"
    if here is None or not directory:
        return frozenset()
    return _both(_up(wanted, here, frozenset()), _entered(directory, makefile))


def _entered(directory: str, makefile: _Reader) -> frozenset[_Way]:
    """The ways in which a directory is entered from the top; none if they are not known."""
    ways = _ALWAYS
    while directory and directory + "/" not in _TOPS:
        directory, _, last = directory.rpartition("/")
        there = makefile(directory)
        if not directory and (there is None or f"{last}/" not in there.parents):
            return ways  # entered by rules of its own in the top makefile
        if there is None:
            return frozenset()
        ways = _both(ways, _up(f"{last}/", there, frozenset()))
    return ways


def _up(name: str, makefile: _Makefile, seen: frozenset[str]) -> frozenset[_Way]:
    """From an object up to `obj`, through every composite it is part of."""
    found: set[_Way] = set()
    if name in seen:
        return frozenset()
    for parent, option in makefile.parents.get(name, ()):
        own = frozenset({option}) if option else frozenset()
        above = _ALWAYS
        if parent not in {"obj", "lib"}:
            above = _up(f"{parent}.o", makefile, seen | {name})
        found.update(own | way for way in above)
    return _least(found)


def _both(first: frozenset[_Way], second: frozenset[_Way]) -> frozenset[_Way]:
    return _least({one | other for one in first for other in second})


def _least(ways: set[_Way]) -> frozenset[_Way]:
    """Without ways that ask for more than another; none at all if there are too many to say."""
    kept = frozenset(way for way in ways if not any(other < way for other in ways))
    return kept if len(kept) <= _MAX_WAYS else frozenset()


def _read(directory: Path) -> _Makefile | None:
    for name in ("Kbuild", "Makefile"):
        path = directory / name
        if path.is_file() and path.stat().st_size <= _MAX_MAKEFILE_BYTES:
            return _parse(path.read_text("utf-8", "replace"))
    return None


def _parse(text: str) -> _Makefile:
    found = _Makefile()
    for line in text.replace("\\\n", " ").splitlines():
        match = _LINE.match(line.partition("#")[0])
        if not match:
            continue
        for word in match["words"].split():
            if word.endswith((".o", "/")):
                entry = (match["target"], match["option"] or "")
                found.parents.setdefault(word, []).append(entry)
    return found
