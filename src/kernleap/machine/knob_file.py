"""The files of knobs: where they are, how they are read and written, what their text means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from kernleap.machine.knob_journal import KnobFact
from kernleap.machine.knobs import took
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Modifier, ModifierKind

ROOTS: Mapping[ModifierKind, Path] = {
    ModifierKind.SYSCTL: Path("/proc/sys"),
    ModifierKind.SYSFS: Path("/sys"),
    ModifierKind.DEBUGFS: Path("/sys/kernel/debug"),
}
_FLAG_LISTS = {("debugfs", "sched/features")}


def path_of(modifier: Modifier, roots: Mapping[ModifierKind, Path] = ROOTS) -> Path:
    """The file of a knob. A sysctl has dots for slashes, unless it has slashes.

    Raises:
        UsageError: it would lie elsewhere than the knobs of its kind.
    """
    key = modifier.key
    if modifier.kind is ModifierKind.SYSCTL and "/" not in key:
        key = key.replace(".", "/")
    root = roots[modifier.kind]
    path = root / key
    # Resolved: /sys is full of links that point into /sys.
    if not path.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{modifier} is not below {root}")
    return path


def text_before(fact: KnobFact) -> str:
    """What to write so that a knob is again what it was.

    Of a list of choices that is the bracketed one (`always [madvise] never`); of a list of flags,
    where writing one word sets that flag alone (`sched/features`), the flag as it was.
    """
    words = fact.before.split()
    if chosen := [word[1:-1] for word in words if word[:1] == "[" and word[-1:] == "]"]:
        return chosen[0]
    return _flag(fact, fact.before) or fact.before


def in_force(fact: KnobFact, after: str) -> bool:
    """Whether a knob that reads `after` has the value that was wanted."""
    return took(fact.wanted, _flag(fact, after) or after)


def _flag(fact: KnobFact, text: str) -> str | None:
    """How the list of flags `text` (`A NO_B C`) has the one that is set by writing `B` or `NO_B`.

    None for knobs that are no such list.
    """
    if (fact.kind, fact.key) not in _FLAG_LISTS:
        return None
    name = fact.wanted.removeprefix("NO_")
    return next((word for word in text.split() if word.removeprefix("NO_") == name), None)


def read_knob(path: Path) -> str:
    """Its text, without the last line's end."""
    return path.read_text("utf-8", "surrogateescape").rstrip("\n")


def write_knob(path: Path, text: str) -> None:
    """Write it in one call, as the kernel wants it. OSError where it refuses."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(descriptor)
