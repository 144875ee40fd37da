"""Knobs of the running kernel: set for a while, read back, and put back whatever happens.

What each knob was is written to a journal, and that journal to the disk, before the first one is
touched. It is removed when all have been put back; one that is found at the next start belongs
to a kernleap that was killed, and is replayed. A lock keeps two of them from setting knobs at once,
and one from replaying the journal of another that lives. Where setting a knob changes a partner of
it (`vm.dirty_bytes`, `vm.dirty_ratio`), both are journalled, and put back by the one in force.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from kernleap import paths
from kernleap.machine.knob_file import (
    ROOTS,
    in_force,
    path_of,
    read_knob,
    text_before,
    write_knob,
)
from kernleap.machine.knob_journal import Journal, KnobFact, refuse
from kernleap.machine.knob_rules import partner_of, refuse_unsafe
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Modifier, ModifierKind


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
        directory: of the journal; None: that of this machine's state.
        roots: where the knobs of each kind are.

    Yields:
        The knobs as they read after all were set.

    Raises:
        UsageError: a boot parameter, the same knob twice, one that cannot be put back, two that
            change each other, no such knob, one that cannot be read or written, or a value that
            the kernel refused or turned into another. Nothing is changed then.
        InfrastructureError: another kernleap has knobs set, the journal cannot be written, or a
            knob could not be put back (its text says which, and how to do it by hand).
    """
    journal = Journal(directory or paths.state_dir())
    with journal.locked():
        _replay(journal, roots)
        before = check_knobs_exist(modifiers, roots=roots)
        if not before:
            yield ()
            return
        # Behind the knobs that were asked for: what is put back first are these.
        partners = _partners(before, roots)
        facts = [*before, *partners]
        journal.write(facts)
        try:
            for index, fact in enumerate(before):
                facts[index] = _set(fact, roots)
                journal.write(facts)
            for index, fact in enumerate(before):
                _check_still(facts[index], fact, roots)
            if partners:
                facts[len(before) :] = [_as_it_reads(fact, roots) for fact in partners]
                journal.write(facts)
            yield tuple(facts[: len(before)])
        finally:
            _put_back(journal, facts, roots)


def check_knobs_exist(
    modifiers: Sequence[Modifier], *, roots: Mapping[ModifierKind, Path] = ROOTS
) -> list[KnobFact]:
    """What these knobs are now; nothing is touched. UsageError as `host_knobs`."""
    refuse(modifiers)
    refuse_unsafe(modifiers)
    facts = [_read_before(modifier, roots) for modifier in modifiers]
    files: dict[Path, Modifier] = {}
    for modifier in modifiers:
        path = path_of(modifier, roots).resolve()
        if path in files:
            raise UsageError(
                "two names of one knob", where=f"{files[path]} {modifier}", cause=str(path)
            )
        files[path] = modifier
    return facts


def recover(
    *, directory: Path | None = None, roots: Mapping[ModifierKind, Path] = ROOTS
) -> tuple[str, ...]:
    """Put back what a killed kernleap left set; a line for each knob concerned, for people.

    A knob that has neither the value it was given nor the one from before was changed by someone
    since, and is left alone. After a reboot there is nothing to put back.

    Raises:
        InfrastructureError: another kernleap has knobs set now, or a knob cannot be put back.
    """
    journal = Journal(directory or paths.state_dir())
    if not journal.file.exists():
        return ()
    with journal.locked():
        return _replay(journal, roots)


def _read_before(modifier: Modifier, roots: Mapping[ModifierKind, Path]) -> KnobFact:
    path = path_of(modifier, roots)
    if not path.is_file():
        mount = (
            "; debugfs is not mounted: mount -t debugfs debugfs /sys/kernel/debug"
            if not any(roots[ModifierKind.DEBUGFS].glob("*"))
            else ""
        )
        raise UsageError(
            "the running kernel has no such knob",
            where=str(path),
            cause=f"its configuration lacks it, or it is misspelt"
            f"{mount if modifier.kind is ModifierKind.DEBUGFS else ''}",
            next_step=f"ls {path.parent}",
        )
    try:
        before = read_knob(path)
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
        write_knob(path, fact.wanted)
        after = read_knob(path)
    except OSError as error:
        raise UsageError(
            f"the kernel refused {fact.modifier}: {error.strerror}",
            where=str(path),
            cause=f"it reads {fact.before!r}",
        ) from error
    if not in_force(fact, after):
        raise UsageError(
            f"{fact.modifier} did not take: it reads {after!r}",
            where=str(path),
            cause="the kernel rounds it, bounds it, or acts on it without keeping it",
        )
    return replace(fact, after=after)


def _partners(facts: Sequence[KnobFact], roots: Mapping[ModifierKind, Path]) -> list[KnobFact]:
    """Knobs that setting these changes, as they are."""
    found = []
    for fact in facts:
        if (key := partner_of(fact.modifier)) is not None:
            partner = Modifier(fact.modifier.kind, key, "0")
            now = _read_before(partner, roots)
            found.append(replace(now, wanted=now.before))
    return found


def _as_it_reads(fact: KnobFact, roots: Mapping[ModifierKind, Path]) -> KnobFact:
    return replace(fact, after=read_knob(path_of(fact.modifier, roots)))


def _check_still(fact: KnobFact, before: KnobFact, roots: Mapping[ModifierKind, Path]) -> None:
    """UsageError if a knob no longer reads as it did when it was set: a later one changed it."""
    now = _as_it_reads(fact, roots)
    if now.after != fact.after:
        raise UsageError(
            f"{fact.modifier} did not last: it reads {now.after!r}",
            where=str(path_of(before.modifier, roots)),
            cause="another knob of the same arm, or another program, changes it",
            next_step="give knobs that change each other to two arms",
        )


def _put_back(
    journal: Journal, facts: Sequence[KnobFact], roots: Mapping[ModifierKind, Path]
) -> None:
    """In reverse order; the journal keeps what could not be put back."""
    left: list[tuple[KnobFact, str]] = []
    # A second Ctrl-C would stop it half-way.
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
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
        if read_knob(path) == fact.before:
            return None
        write_knob(path, text_before(fact))
        now = read_knob(path)
    except OSError as error:
        return f"{fact.key}: {error.strerror}"
    return None if now == fact.before else f"{fact.key}: it reads {now!r}, it was {fact.before!r}"


def _replay(journal: Journal, roots: Mapping[ModifierKind, Path]) -> tuple[str, ...]:
    """Put back what a journal says; the caller holds the lock."""
    facts, lines, ours = journal.read(), [], []
    for fact in facts:
        path = path_of(fact.modifier, roots)
        try:
            now = read_knob(path)
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
