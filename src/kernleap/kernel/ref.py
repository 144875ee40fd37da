"""The grammar of kernel references: `SOURCE:NAME[+KIND:KEY=VALUE]...`.

A modifier starts at `+KIND:` with a known kind, so a `+` in a release or a path
(`debian:7.2.12+deb13-cloud-amd64`) and in a value stays what it is. Sources are not listed
here: they register themselves (see kernleap.kernel.source).
"""

from __future__ import annotations

import re

from kernleap.kernel import source as registry
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelRef, Modifier, ModifierKind

_KINDS = "|".join(kind.value for kind in ModifierKind)
_MODIFIER_START = re.compile(rf"\+(?=(?:{_KINDS}):)")
_LOOKS_LIKE_KIND = re.compile(r"\+([A-Za-z_]+):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CMDLINE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")
_SYSCTL_KEY = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-:@]+)+")
_PATH_KEY = re.compile(r"[A-Za-z0-9_.\-:@,+]+(?:/[A-Za-z0-9_.\-:@,+]+)*")

_KEY_PATTERNS = {
    ModifierKind.CMDLINE: (_CMDLINE_KEY, "a boot parameter such as `mitigations`"),
    ModifierKind.SYSCTL: (_SYSCTL_KEY, "a sysctl such as `net.ipv4.tcp_sack`"),
    ModifierKind.DEBUGFS: (_PATH_KEY, "a path below debugfs such as `sched/features`"),
    ModifierKind.SYSFS: (_PATH_KEY, "a path below sysfs such as `kernel/mm/ksm/run`"),
}


def grammar_hint() -> str:
    """One line that lists what a reference may be made of."""
    sources = " ".join(f"{s.name}:" if s.takes_name else s.name for s in registry.all_sources())
    kinds = " ".join(f"+{kind.value}:" for kind in ModifierKind)
    return f"sources: {sources}; modifiers: {kinds}"


def _error(text: str, position: int, what: str) -> UsageError:
    marker = " " * position + "^"
    return UsageError(
        f"{what} (at character {position + 1} of the kernel reference)",
        where=f"{text}\n         {marker}",
        next_step=f"write SOURCE:NAME[+KIND:KEY=VALUE]...; {grammar_hint()}",
    )


def parse_ref(text: str) -> KernelRef:
    """Parse a reference. `str(parse_ref(text)) == text` for every accepted text.

    Raises:
        UsageError: with the position of what is wrong, and the sources and kinds there are.
    """
    if not text:
        raise _error(text, 0, "the kernel reference is empty")
    if control := _CONTROL.search(text):
        raise _error(
            _CONTROL.sub("?", text), control.start(), "a control character in the kernel reference"
        )
    starts = [match.start() for match in _MODIFIER_START.finditer(text)]
    head_end = starts[0] if starts else len(text)
    ref_source, name = _parse_head(text, text[:head_end])
    ends = [*starts, len(text)][1:]
    modifiers = tuple(
        _parse_modifier(text, start, end) for start, end in zip(starts, ends, strict=True)
    )
    return KernelRef(ref_source, name, modifiers)


def _parse_head(text: str, head: str) -> tuple[str, str]:
    source_name, colon, name = head.partition(":")
    source = registry.find(source_name)
    if source is None:
        what = f"unknown kernel source `{source_name}`" if source_name else "no kernel source"
        raise _error(text, 0, what)
    if not source.takes_name:
        if colon:
            raise _error(text, len(source_name), f"`{source_name}` takes no name")
        return source_name, ""
    if not colon or not name:
        position = len(source_name) + len(colon)
        raise _error(text, position, f"`{source_name}:` needs {source.name_hint}")
    if stray := _LOOKS_LIKE_KIND.search(name):
        position = len(source_name) + 1 + stray.start()
        raise _error(text, position, f"unknown modifier kind `+{stray.group(1)}:`")
    if reason := source.check_name(name):
        raise _error(text, len(source_name) + 1, reason)
    return source_name, name


def _parse_modifier(text: str, start: int, end: int) -> Modifier:
    kind_text, _, body = text[start + 1 : end].partition(":")
    kind = ModifierKind(kind_text)
    body_at = start + 1 + len(kind_text) + 1
    key, equals, value_text = body.partition("=")
    value = value_text if equals else None
    pattern, example = _KEY_PATTERNS[kind]
    if not pattern.fullmatch(key) or any(part in {".", ".."} for part in key.split("/")):
        raise _error(text, body_at, f"`{key}` is not {example}")
    if ".." in key:
        raise _error(text, body_at + key.index(".."), f"`..` in `{key}`")
    value_at = body_at + len(key) + 1
    if kind is ModifierKind.CMDLINE:
        if value is not None and re.search(r"[\s\"]", value):
            raise _error(text, value_at, "white space or a quote in a boot parameter's value")
    elif not value:
        raise _error(text, body_at + len(key), f"`+{kind.value}:{key}` needs `=VALUE`")
    elif value != value.strip():
        raise _error(text, value_at, "the value starts or ends with white space")
    return Modifier(kind, key, value)
