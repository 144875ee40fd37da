"""Knobs of the running kernel: set for a while, read back, and put back whatever happens.

What each knob was is written to a journal, and that journal to the disk, before the first one is
touched. It is removed when all have been put back; one that is found at the next start belongs
to a kernleap that was killed, and is replayed. A lock keeps two of them from setting knobs at once,
and one from replaying the journal of another that lives.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from kernleap import paths
from kernleap.machine.knob_journal import Journal, KnobFact, refuse
from kernleap.machine.knobs import took
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Modifier, ModifierKind

ROOTS: Mapping[ModifierKind, Path] = {
    ModifierKind.SYSCTL: Path("/proc/sys"),
    ModifierKind.SYSFS: Path("/sys"),
    ModifierKind.DEBUGFS: Path("/sys/kernel/debug"),
}
_FLAG_LISTS = {("debugfs", "sched/features")}


@contextmanager
def host_knobs(
    modifiers: Sequence[Modifier],
    *,
    directory: Path | None = None,
    roots: Mapping[ModifierKind, Path] = ROOTS,
) -> Iterator[tuple[KnobFact, ...]]:
    """Set knobs of the running kernel within the context, in their order.

    Args:
        modifiers: sysctl, sysfs and debugfs modifiers; none is fine.
        directory: of the journal; the runs directory if None.
        roots: where the knobs of each kind are.

    Yields:
        The knobs as they read after all were set.

    Raises:
        UsageError: a boot parameter, the same knob twice, no such knob, one that cannot be read
            or written, or a value that the kernel refused or turned into another. Nothing is
            changed then.
        InfrastructureError: another kernleap has knobs set, the journal cannot be written, or a
            knob could not be put back (its text says which, and how to do it by hand).
    """
    refuse(modifiers)
    journal = Journal(directory or paths.runs_dir())
    with journal.locked():
        _replay(journal, roots)
        before = [_read_before(modifier, roots) for modifier in modifiers]
        if not before:
            yield ()
            return
        journal.write(before)
        facts = list(before)
        try:
            for index, fact in enumerate(before):
                facts[index] = _set(fact, roots)
                journal.write(facts)
            yield tuple(facts)
        finally:
            _put_back(journal, facts, roots)


def recover(
    *, directory: Path | None = None, roots: Mapping[ModifierKind, Path] = ROOTS
) -> tuple[str, ...]:
    """Put back what a killed kernleap left set; a line for each knob concerned, for people.

    A knob that has neither the value it was given nor the one from before was changed by someone
    since, and is left alone. After a reboot there is nothing to put back.

    Raises:
        InfrastructureError: another kernleap has knobs set now, or a knob cannot be put back.
    """
    journal = Journal(directory or paths.runs_dir())
    if not journal.file.exists():
        return ()
    with journal.locked():
        return _replay(journal, roots)


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


def _read_before(modifier: Modifier, roots: Mapping[ModifierKind, Path]) -> KnobFact:
    path = path_of(modifier, roots)
    if not path.is_file():
        mount = "; debugfs may not be mounted: mount -t debugfs debugfs /sys/kernel/debug"
        raise UsageError(
            "the running kernel has no such knob",
            where=str(path),
            cause=f"its configuration lacks it, or it is misspelt"
            f"{mount if modifier.kind is ModifierKind.DEBUGFS else ''}",
            next_step=f"ls {path.parent}",
        )
    try:
        before = _read(path)
    except OSError as error:
        raise UsageError(
            "a knob that cannot be read cannot be put back, so it is not touched",
            where=str(path),
            cause=error.strerror,
        ) from error
    if not os.access(path, os.W_OK):
        raise UsageError(
            "the knob cannot be written by this user",
            where=str(path),
            next_step="run kernleap as root, or set the knob by hand and measure without it",
        )
    return KnobFact(str(modifier.kind), modifier.key, modifier.value or "", before)


def _set(fact: KnobFact, roots: Mapping[ModifierKind, Path]) -> KnobFact:
    path = path_of(fact.modifier, roots)
    try:
        _write(path, fact.wanted)
        after = _read(path)
    except OSError as error:
        raise UsageError(
            f"the kernel refused {fact.modifier}: {error.strerror}",
            where=str(path),
            cause=f"it reads {fact.before!r}",
        ) from error
    if not _in_force(fact, after):
        raise UsageError(
            f"{fact.modifier} did not take: it reads {after!r}",
            where=str(path),
            cause="the kernel rounds it, bounds it, or acts on it without keeping it",
        )
    return replace(fact, after=after)


def _put_back(
    journal: Journal, facts: Sequence[KnobFact], roots: Mapping[ModifierKind, Path]
) -> None:
    """In reverse order; the journal keeps what could not be put back."""
    left: list[tuple[KnobFact, str]] = []
    # A second Ctrl-C would stop it half-way.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        for fact in reversed(facts):
            if problem := _problem_putting_back(fact, roots):
                left.append((fact, problem))
        if left:
            with suppress(InfrastructureError):  # it still holds all of them, then
                journal.write([fact for fact, _ in reversed(left)])
        else:
            journal.clear()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if left:
        raise InfrastructureError(
            f"{len(left)} knobs of the running kernel could not be put back",
            where=", ".join(str(path_of(fact.modifier, roots)) for fact, _ in left),
            cause="; ".join(problem for _, problem in left),
            next_step="; ".join(
                f"echo '{text_before(fact)}' > {path_of(fact.modifier, roots)}" for fact, _ in left
            ),
        )


def _problem_putting_back(fact: KnobFact, roots: Mapping[ModifierKind, Path]) -> str | None:
    path = path_of(fact.modifier, roots)
    try:
        if _read(path) == fact.before:
            return None
        _write(path, text_before(fact))
        now = _read(path)
    except OSError as error:
        return f"{fact.key}: {error.strerror}"
    return None if now == fact.before else f"{fact.key}: it reads {now!r}, it was {fact.before!r}"


def _replay(journal: Journal, roots: Mapping[ModifierKind, Path]) -> tuple[str, ...]:
    """Put back what a journal says; the caller holds the lock."""
    facts, lines, ours = journal.read(), [], []
    for fact in facts:
        path = path_of(fact.modifier, roots)
        try:
            now = _read(path)
        except OSError:
            now = None
        if now is None:
            lines.append(f"{path} has gone")
        elif now == fact.before:
            lines.append(f"{path} is as it was")
        # Without `after` it was killed while setting it: whatever it reads is our doing.
        elif fact.after is not None and now != fact.after:
            lines.append(f"{path} reads {now!r}: changed by someone since, left alone")
        else:
            ours.append(fact)
            lines.append(f"{path} is put back to {text_before(fact)!r}")
    _put_back(journal, ours, roots)
    return tuple(lines)


def text_before(fact: KnobFact) -> str:
    """What to write so that a knob is again what it was.

    Of a list of choices that is the bracketed one (`always [madvise] never`); of a list of flags,
    where writing one word sets that flag alone (`sched/features`), the flag as it was.
    """
    words = fact.before.split()
    if chosen := [word[1:-1] for word in words if word[:1] == "[" and word[-1:] == "]"]:
        return chosen[0]
    return _flag(fact, fact.before) or fact.before


def _in_force(fact: KnobFact, after: str) -> bool:
    return took(fact.wanted, _flag(fact, after) or after)


def _flag(fact: KnobFact, text: str) -> str | None:
    """How the list of flags `text` (`A NO_B C`) has the one that is set by writing `B` or `NO_B`.

    None for knobs that are no such list.
    """
    if (fact.kind, fact.key) not in _FLAG_LISTS:
        return None
    name = fact.wanted.removeprefix("NO_")
    return next((word for word in text.split() if word.removeprefix("NO_") == name), None)


def _read(path: Path) -> str:
    return path.read_text("utf-8", "surrogateescape").rstrip("\n")


def _write(path: Path, text: str) -> None:
    """In one call, as the kernel wants it. OSError where it refuses."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(descriptor)
