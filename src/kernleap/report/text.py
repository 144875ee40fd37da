"""Words and figures of a report: cleaning what others wrote, formatting what we measured.

Everything that comes from a kernel, a package or a guest (release strings, function names,
console output) is untrusted text. `clean` makes it safe to *look at* (no terminal escapes, no
invisible or direction-changing characters, bounded length); escaping for HTML is the
template's task and is always on.
"""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
NOT_A_NUMBER = "n/a"


def clean(text: str, limit: int = 200) -> str:
    """One line of printable text: control, format and surrogate characters made visible.

    A newline becomes a space; anything else that does not print becomes `\\xNN` or `\\uNNNN`.
    Longer text than `limit` characters keeps its start and end around an ellipsis.
    """
    return shorten("".join(_visible(c) for c in text.replace("\n", " ").replace("\t", " ")), limit)


def clean_block(text: str, limit: int = 4000) -> str:
    """Several lines of printable text; the *end* is kept, since a console's last lines matter."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(8)
    tail = plain[-limit:] if len(plain) > limit else plain
    shown = "\n".join("".join(_visible(c) for c in line).rstrip() for line in tail.split("\n"))
    shown = shown.strip("\n")
    if len(plain) <= limit and len(shown) <= limit:
        return shown
    return f"[... only the last {min(limit, len(shown))} characters are shown]\n{shown[-limit:]}"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters: the middle gives way, as names differ at their ends."""
    if len(text) <= limit:
        return text
    if limit <= 1:
        return "…"[:limit]
    head = (limit - 1) * 2 // 3
    tail = limit - 1 - head
    return text[:head] + "…" + (text[-tail:] if tail else "")


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float) -> str:
    """A count or another value: `8,242`, `12.25`, `0.0031`; `n/a` where there is none."""
    if not math.isfinite(value):
        return NOT_A_NUMBER
    sign = MINUS if value < 0 else ""
    size = abs(value)
    if size == int(size) and size < 1e15:
        return f"{sign}{int(size):,}" if size else "0"
    if size >= 1e15:
        return f"{sign}{size:.4g}"
    if size >= 1000:
        return f"{sign}{size:,.1f}"
    if size >= 1:
        return f"{sign}{size:.2f}".rstrip("0").rstrip(".")
    return f"{sign}{size:.3g}"


def signed(value: float) -> str:
    """A difference: `+39`, `−12.5`, `0`."""
    if not math.isfinite(value):
        return NOT_A_NUMBER
    return number(value) if value <= 0 else f"+{number(value)}"


def percent(ratio: float) -> str:
    """The change that a ratio stands for: `+13.36 %`, `−0.02 %`, `0 %`; `n/a` if not finite."""
    if not math.isfinite(ratio):
        return NOT_A_NUMBER
    change = (ratio - 1.0) * 100.0
    size = abs(change)
    if not math.isfinite(size):
        return NOT_A_NUMBER
    if size == 0:
        return "0 %"
    if size >= 1e7:
        return f"{'+' if change > 0 else MINUS}{size:.3g} %"
    if size < 0.0005:
        return ("+" if change > 0 else MINUS) + "<0.001 %"
    digits = 3 if size < 0.1 else 2 if size < 100 else 0
    return f"{'+' if change > 0 else MINUS}{size:,.{digits}f} %"


def ratio(value: float) -> str:
    """A ratio: `1.1336`; six digits where it is so near 1 that four would hide the change."""
    if not math.isfinite(value):
        return NOT_A_NUMBER
    digits = 6 if 0 < abs(value - 1.0) < 0.0005 else 4
    return f"{value:.{digits}f}" if value < 1000 else f"{value:.4g}"


def interval(low: float, high: float) -> str:
    """An interval of ratios: `1.1301 to 1.1371`; one figure where both ends agree."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_A_NUMBER
    if low == high:
        return f"{ratio(low)} exactly"
    return f"{ratio(low)} to {ratio(high)}"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 boot`, `3 boots`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listing(items: tuple[str, ...] | list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) <= 1:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
