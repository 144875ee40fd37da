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


def conditions(tree: Path, files: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """For each source file the options that must all be on; None if the tree does not tell.

    An empty tuple means: always built.

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

    found: dict[str, tuple[str, ...] | None] = {}
    for name in files:
        options: set[str] = set()
        found[name] = tuple(sorted(options)) if _collect(name, makefile, options) else None
    return found


def _collect(name: str, makefile: _Reader, options: set[str]) -> bool:
    """Add what a source file depends on; False if that is not known."""
    directory, _, base = name.rpartition("/")
    if not directory or ".." in name or not name.endswith(_SOURCES):
        return False
    wanted = base.rpartition(".")[0] + ".o"
    # A directory without a makefile is named in that of a directory above: `kvm-y += vmx/vmx.o`.
    while (here := makefile(directory)) is None and directory:
        directory, _, last = directory.rpartition("/")
        wanted = f"{last}/{wanted}"
    if here is None or not directory or not _up(wanted, here, options, frozenset()):
        return False
    return _entered(directory, makefile, options)


def _entered(directory: str, makefile: _Reader, options: set[str]) -> bool:
    """Add what it takes for a directory to be entered from the top; False if not known."""
    while directory and directory + "/" not in _TOPS:
        directory, _, last = directory.rpartition("/")
        there = makefile(directory)
        if not directory and (there is None or f"{last}/" not in there.parents):
            return True  # entered by rules of its own in the top makefile
        if there is None or not _up(f"{last}/", there, options, frozenset()):
            return False
    return True


def _up(name: str, makefile: _Makefile, options: set[str], seen: frozenset[str]) -> bool:
    """From an object up to `obj`, through the composites it is part of; the first way counts."""
    if name in seen:
        return False
    for parent, option in makefile.parents.get(name, ()):
        added = options | ({option} if option else set())
        if parent in {"obj", "lib"} or _up(f"{parent}.o", makefile, added, seen | {name}):
            options.update(added)
            return True
    return False


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
