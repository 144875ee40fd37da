"""The chain from kernel to token to money: for each link what was measured, or that it was not.

A reader who knows only the verdict must see at a glance how far the evidence reaches. A link
without a measurement says so and names the command that would give one; it is never filled
in from the link before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from kernleap.model.metric import Better, Grade
from kernleap.model.result import Decision
from kernleap.report.parts import ChainLink, FindingView, MetricView
from kernleap.report.text import listing, percent, plural

_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Kind:
    """What belongs to a link: metrics of one grade by name, and what to do if there are none."""

    title: str
    grade: Grade
    patterns: tuple[str, ...]
    missing: str
    leading: tuple[str, ...] = ()
    """Quantities to tell first."""
    many: bool = False
    """Whether its metrics are told by number rather than by name."""


_KINDS = (
    _Kind(
        "Kernel paths", Grade.COUNTED,
        ("*/1p/kernel_instructions", "*/2p-*/kernel_instructions"),
        "not counted in this run; --suite micro counts them", many=True,
    ),
    _Kind(
        "A token in the lab", Grade.COUNTED, ("serving/*/kernel_instructions_per_token",),
        "not counted in this run; --suite serving counts it",
    ),
    _Kind(
        "Placement", Grade.PLACED, ("*",),
        "not looked at in this run; --suite placement --profile NAME does",
    ),
    _Kind(
        "A token on a real machine", Grade.TIMED, ("*",),
        "not measured in this run; --machine here measures configurations of the running kernel",
        leading=("kernel_time_per_token", "ttft_p99", "tokens_per_second"),
    ),
)  # fmt: skip


def links(metrics: Iterable[MetricView], arm: str) -> tuple[ChainLink, ...]:
    """The links that metrics can give, from kernel to token, for one candidate arm."""
    rows = [(m, f) for m in metrics for f in m.findings if f.arm == arm]
    return tuple(_link(kind, rows) for kind in _KINDS)


def _link(kind: _Kind, rows: list[tuple[MetricView, FindingView]]) -> ChainLink:
    own = [
        (m, f)
        for m, f in rows
        if m.metric.grade is kind.grade
        and any(fnmatchcase(m.metric.plain, pattern) for pattern in kind.patterns)
    ]
    judged = [(m, f) for m, f in own if m.metric.better is not Better.NEITHER]
    if not judged:
        return ChainLink(kind.title, "", kind.missing, measured=False)
    text = _tallies(judged) if kind.many else _named(judged, kind.leading)
    return ChainLink(kind.title, kind.grade.value, text, measured=True)


def _tallies(rows: list[tuple[MetricView, FindingView]]) -> str:
    """The rows of each architecture by themselves."""
    arches = tuple(dict.fromkeys(m.metric.arch for m, _ in rows))
    if len(arches) == 1:
        return _tally(rows)
    return "; ".join(
        f"{arch}: {_tally([row for row in rows if row[0].metric.arch is arch])}" for arch in arches
    )


def _tally(rows: list[tuple[MetricView, FindingView]]) -> str:
    finite = [f.ratio for _, f in rows if f.ratio is not None]
    longer = sum(f.decision is Decision.WORSE for _, f in rows)
    shorter = sum(f.decision is Decision.BETTER for _, f in rows)
    equal = sum(f.decision is Decision.EQUIVALENT for _, f in rows)
    parts = [f"{n} {word}" for n, word in ((longer, "longer"), (shorter, "shorter")) if n]
    parts += [f"{equal} equivalent"] if equal else []
    if rest := len(rows) - longer - shorter - equal:
        parts.append(f"{rest} open or other events")
    middle = f"; median change {percent(median(finite))}" if finite else ""
    return f"{plural(len(rows), 'path')}: {listing(parts)}{middle}"


def _named(rows: list[tuple[MetricView, FindingView]], leading: tuple[str, ...]) -> str:
    """Those that moved, if any did: the leading quantities, then the largest."""
    moved = [(m, f) for m, f in rows if f.decision in (Decision.BETTER, Decision.WORSE)]
    place = {quantity: number for number, quantity in enumerate(leading)}
    chosen = sorted(
        moved or rows,
        key=lambda row: (
            place.get(row[0].quantity, len(place)),
            -row[1].log_size if moved else 0.0,
        ),
    )
    told = [f"{m.name} {f.change_text} ({f.interval_text}), {f.word}" for m, f in chosen[:_NAMED]]
    rest = len(rows) - len(told)
    return "; ".join(told) + (f"; and {plural(rest, 'more metric')}" if rest else "")
