"""Patches on top of a kernel's sources: counted, with what they touch. Nothing is applied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kernleap.model.errors import UsageError
from kernleap.model.kernel_facts import PatchFacts

_SERIES = ("debian/patches/series", "patches/series", "series", ".pc/applied-patches")
_SUFFIXES = (".patch", ".diff")
_TARGET = re.compile(r"^\+\+\+ (?:[^/\s]+/)?(\S+)")
_SOURCE = re.compile(r"^--- (?:[^/\s]+/)?(\S+)")
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FROM = re.compile(r"^From [0-9a-f]{40} ")
_DEEP = {"drivers", "arch", "net", "fs", "sound", "include", "tools"}
"""Tops whose second level is what people call a subsystem."""
MAX_PATCHES = 20_000
MAX_BYTES = 512 << 20


@dataclass(slots=True)
class _Count:
    patches: int = 0
    added: int = 0
    removed: int = 0
    files: Counter[str] = field(default_factory=Counter)
    read: int = 0


def patches_of_tree(tree: Path) -> PatchFacts | None:
    """The patches that a source tree holds in one of the usual places; None if there are none."""
    for place in _SERIES:
        if place != "series" and (tree / place).is_file():
            return read_patches(tree / place)
    return None


def read_patches(path: Path) -> PatchFacts:
    """Count patches.

    Args:
        path: a series file (quilt's form), a directory with one or with patches, or a diff.

    Raises:
        UsageError: it is none of these, or cannot be read.
    """
    try:
        if path.is_dir():
            return _directory(path)
        if path.suffix in _SUFFIXES:
            return _facts(path, [path], ())
        if path.is_file():
            return _series(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the patches: {error.strerror or error}", where=str(error.filename or path)
        ) from error
    raise _unusable(path, "there is no such file or directory")


def _directory(path: Path) -> PatchFacts:
    for place in _SERIES:
        if (path / place).is_file():
            return _series(path / place)
    patches = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
    if not patches:
        raise _unusable(path, "the directory holds neither a series file nor *.patch or *.diff")
    return _facts(path, patches, ())


def _series(path: Path) -> PatchFacts:
    """A quilt series: a name a line; what follows a `#`, and options behind the name, are left."""
    base = path.parent.parent / "patches" if path.parent.name == ".pc" else path.parent
    names = [
        words[0]
        for line in path.read_text("utf-8", "replace").splitlines()
        if (words := line.partition("#")[0].split())
    ]
    root = base.resolve()
    places = {name: (base / name).resolve() for name in names}
    present = [p for p in places.values() if p.is_relative_to(root) and p.is_file()]
    missing = [name for name, place in places.items() if place not in present]
    if names and not present:
        raise _unusable(path, "it is no series file: none of the patches that it names is there")
    return _facts(path, present, missing)


def _facts(source: Path, patches: list[Path], missing: Iterable[str]) -> PatchFacts:
    if len(patches) > MAX_PATCHES:
        raise _unusable(source, f"more than {MAX_PATCHES:,} patches")
    count = _Count()
    for patch in patches:
        count.read += patch.stat().st_size
        if count.read > MAX_BYTES:
            raise _unusable(source, f"more than {MAX_BYTES >> 20} MiB of patches")
        _read(patch.read_text("utf-8", "replace"), count)
    tops: Counter[str] = Counter(subsystem(name) for name in count.files)
    return PatchFacts(
        str(source),
        count.patches,
        count.added,
        count.removed,
        len(count.files),
        tuple(sorted(tops.items(), key=lambda item: (-item[1], item[0]))),
        tuple(missing),
    )


def _read(text: str, count: _Count) -> None:
    """One file: one patch, or several mails of `git format-patch` one after another.

    Lines are counted within hunks alone: a line `--- x` may also be a removed `-- x`.
    """
    mails = 0
    left_old = left_new = 0
    before = ""
    for line in text.splitlines():
        if left_old > 0 or left_new > 0:
            if line.startswith("+"):
                count.added += 1
                left_new -= 1
            elif line.startswith("-"):
                count.removed += 1
                left_old -= 1
            elif not line.startswith("\\"):
                left_old -= 1
                left_new -= 1
            continue
        if hunk := _HUNK.match(line):
            left_old, left_new = (int(group) if group else 1 for group in hunk.groups())
        elif source := _SOURCE.match(line):
            before = source[1]
        elif target := _TARGET.match(line):
            name = before if target[0].endswith("/dev/null") else target[1]
            count.files[name] += 1
        elif _FROM.match(line):
            mails += 1
    count.patches += max(mails, 1)


def subsystem(path: str) -> str:
    """The top of a path, two levels deep where the first says little."""
    parts = path.split("/")
    deep = len(parts) > 2 and parts[0] in _DEEP
    return "/".join(parts[: 2 if deep else 1]) if len(parts) > 1 else "(top)"


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        "no patches to count",
        where=str(path),
        cause=why,
        next_step="give a quilt series file, a directory of *.patch files, or a diff",
    )
