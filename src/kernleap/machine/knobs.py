"""Did every knob take? A knob that the kernel does not have fails the trial."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from kernleap.guest.channel import ChannelError, Records
from kernleap.model.kernel import Modifier, ModifierKind

# Files that show a choice among words mark the one in force: "always madvise [never]".
_FLAG = re.compile(r"[A-Z][A-Z0-9_]*")
_TRUE = frozenset({"1", "y", "yes", "on", "true"})
_FALSE = frozenset({"0", "n", "no", "off", "false"})


def took(wanted: str, after: str) -> bool:
    """Whether what was read back says that `wanted` is in force.

    White space is folded, switches may be spelled their own way (`0` and `N`), of a list of
    choices the bracketed one counts, and a flag written to a list of flags
    (`sched/features`) has to be in it.
    """
    want, got = " ".join(wanted.split()), " ".join(after.split())
    if want == got:
        return True
    for words in (_TRUE, _FALSE):
        if want.lower() in words:
            return got.lower() in words or bool(_chosen(got) & words)
    if _FLAG.fullmatch(want) and not _chosen(got):
        return want in got.split()
    return want in _chosen(got)


def _chosen(text: str) -> frozenset[str]:
    return frozenset(w[1:-1] for w in text.split() if w.startswith("[") and w.endswith("]"))


def check_knobs(
    modifiers: Iterable[Modifier], records: Records
) -> tuple[list[dict[str, Any]], str | None]:
    """Compare what was asked with what the guest read back.

    Returns:
        The records of the knobs, for the trial's facts, and the first problem or None.

    Raises:
        ChannelError: the guest answered for other knobs than it was given.
    """
    wanted = [m for m in modifiers if m.kind is not ModifierKind.CMDLINE]
    answers = records.of("knob")
    if len(answers) != len(wanted):
        raise ChannelError(f"{len(answers)} knobs answered, {len(wanted)} were set")
    facts: list[dict[str, Any]] = []
    problem: str | None = None
    for modifier, answer in zip(wanted, answers, strict=True):
        if (answer.get("kind"), answer.get("key")) != (str(modifier.kind), modifier.key):
            raise ChannelError("a knob answered that was not set")
        before, after, error = (str(answer.get(k, "")) for k in ("before", "after", "error"))
        facts.append(
            {
                "kind": str(modifier.kind),
                "key": modifier.key,
                "wanted": modifier.value or "",
                "before": before,
                "after": after,
                "error": error,
            }
        )
        if problem is None and error:
            problem = f"{modifier}: the kernel refused it ({error})"
        elif problem is None and not took(modifier.value or "", after):
            problem = f"{modifier}: it reads {after!r} after it was set"
    return facts, problem


def check_cmdline(modifiers: Iterable[Modifier], records: Records) -> str | None:
    """Whether the kernel saw every boot parameter of the arm; the first missing one or None."""
    seen = str(records.one("cmdline").get("text", "")).split()
    for m in modifiers:
        if m.kind is ModifierKind.CMDLINE:
            word = m.key if m.value is None else f"{m.key}={m.value}"
            if word not in seen:
                return f"{m}: the kernel's command line does not show it"
    return None
