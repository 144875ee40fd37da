"""The report as Markdown for a comment on a change: verdict first, bounded in length.

Kernel and metric names come from outside. In a comment they must not mention people, close a
code span or open a table cell, so every one of them passes through `_code` or `plain`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kernleap.model.result import Decision
from kernleap.report.parts import CandidateView, FindingView, MetricView, ReportView
from kernleap.report.text import plural

LENGTH_LIMIT = 60_000
"""Characters; the large forges refuse comments of 65,536 and more."""

_ROWS = 15
_MARKS = {"adopt": "🟢", "hold": "⚪", "reject": "🔴", "undecided": "🟡"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@$&-])")


def render(view: ReportView) -> str:
    """The comment. Tables give way, rows first, until it is within LENGTH_LIMIT."""
    for rows in (_ROWS, 5, 0):
        text = _render(view, rows)
        if len(text) <= LENGTH_LIMIT:
            return text
    cut = text[: LENGTH_LIMIT - 100].rsplit("\n", 1)[0]
    return f"{cut}\n\n_Shortened; the JSON report has everything._\n"


def _render(view: ReportView, rows: int) -> str:
    blocks = [f"## kernleap: {plain(view.title)}"]
    for candidate in view.candidates:
        blocks += _candidate(view, candidate, rows)
    blocks += _risk(view)
    blocks += _trust(view)
    blocks.append(
        f"<sub>{plain(view.subtitle)} · evidence: {', '.join(view.grades) or 'none'} · "
        f"again: {_code(view.reproduce)}</sub>"
    )
    return "\n\n".join(blocks) + "\n"


def _candidate(view: ReportView, candidate: CandidateView, rows: int) -> list[str]:
    mark = _MARKS.get(candidate.word, "")
    blocks = [
        f"### {mark} {plain(candidate.arm.label)}: **{candidate.word}**",
        "\n".join(f"- {plain(r.text)} (rule {_code(r.rule)})" for r in candidate.reasons),
        "\n".join(
            f"- **{plain(link.title)}**: {plain(link.text)}"
            + (f" _({link.grade})_" if link.grade else "")
            for link in candidate.chain
        ),
        plain(candidate.sentence),
    ]
    if rows and candidate.movers:
        blocks.append(_table(candidate.movers[:rows]))
    changed = [
        (m, f)
        for m in view.behaviour
        for f in m.findings
        if f.arm == candidate.arm.name and f.decision is Decision.BEHAVIOUR_CHANGED
    ]
    if rows and changed:
        blocks.append(
            f"<details><summary>{plural(len(changed), 'behaviour metric')} changed</summary>\n\n"
            f"{_table(changed[:rows])}\n\n</details>"
        )
    if candidate.confounders:
        names = [_code(c.name) for c in candidate.confounders[:8]]
        more = len(candidate.confounders) - len(names)
        rest = f" and {more} more" if more else ""
        blocks.append(f"Also differs between the arms: {', '.join(names)}{rest}.")
    return [block for block in blocks if block]


def _table(rows: Iterable[tuple[MetricView, FindingView]]) -> str:
    lines = [
        "| metric | baseline | candidate | change | interval | decision | because of |",
        "|---|--:|--:|--:|---|---|---|",
    ]
    for metric, finding in rows:
        because = ", ".join(_code(name) for name in finding.responsible[:2])
        cells = (
            _code(metric.name), finding.baseline_text, finding.candidate_text, finding.change_text,
            finding.interval_text, finding.word, because,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _risk(view: ReportView) -> list[str]:
    if view.beyond.risk is None:
        return []
    lines = []
    for arm in view.beyond.risk.arms:
        points = [point.text for point in arm.points if point.severity != "note"][:3]
        told = f": {plain('; '.join(points))}" if points else ""
        lines.append(f"- {plain(arm.label)}: **{plain(arm.level_text)}**{told}")
    return [f"Risk as of {view.beyond.risk.day}:\n" + "\n".join(lines)]


def _trust(view: ReportView) -> list[str]:
    blocks = []
    if view.noise:
        blocks.append(f"Noise floor: {plain(view.noise.text)}")
    if view.failures:
        kinds = ", ".join(sorted({plain(f.status) for f in view.failures}))
        blocks.append(f"{plural(len(view.failures), 'trial')} without a number ({kinds}).")
    if view.warnings:
        listed = "\n".join(f"- {plain(w)}" for w in view.warnings[:5])
        more = len(view.warnings) - 5
        blocks.append(f"Warnings:\n{listed}" + (f"\n- and {more} more" if more > 0 else ""))
    return blocks


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no mention, one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """A code span, safe in a table cell: pipes are escaped, backticks become apostrophes."""
    inner = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{inner}`" if inner else ""
