"""The report in a terminal: verdict first, then what moved and why, at 80 columns or more.

Meaning never rests on colour: every decision is a word, every bar has its figure beside it.
On a terminal that cannot show Unicode the same page is drawn in ASCII.
"""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from kernleap.model.result import Decision, VerdictDecision
from kernleap.report.guest_time import TITLE, guest_times
from kernleap.report.parts import CandidateView, FindingView, ReportView
from kernleap.report.scale import Scale, scale_of
from kernleap.report.text import plural, shorten

_STYLES: dict[Decision, str] = {
    Decision.BETTER: "bold bright_blue",
    Decision.WORSE: "bold yellow",
    Decision.EQUIVALENT: "dim",
    Decision.UNDECIDED: "magenta",
    Decision.BEHAVIOUR_CHANGED: "cyan",
}
_SHORT_WORDS = {Decision.BEHAVIOUR_CHANGED: "changed"}
_VERDICT_STYLES: dict[VerdictDecision, str] = {
    VerdictDecision.ADOPT: "bold white on blue",
    VerdictDecision.HOLD: "bold black on white",
    VerdictDecision.REJECT: "bold black on yellow",
    VerdictDecision.UNDECIDED: "bold white on magenta",
}
_ASCII = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "…": "~",
        "·": "-",
        "→": ">",
        "↳": "`",
        "│": "|",
        "━": "=",
        "╸": "-",
        "╺": "-",
        "≈": "=",
        "─": "-",
        "•": "*",
    }
)
_BAR_CELLS = 6
_RISK_POINTS = 3
_NARROWEST = 60


def render(view: ReportView, console: Console, *, everything: bool = False) -> None:
    """Print the report.

    Args:
        view: what to show.
        console: where to; its width, colours and encoding are respected.
        everything: list every metric; else equivalent ones are folded into a line per family.
    """
    page = _Page(console)
    page.line(Text.assemble(("kernleap", "bold"), "  ", (view.title, "bold")))
    page.line(Text(view.subtitle, "dim"))
    for candidate in view.candidates:
        _verdict(page, candidate)
    for candidate in view.candidates:
        _table(page, view, candidate, everything)
        _recurring(page, candidate)
    _architectures(page, view)
    _behaviour(page, view)
    _guest_times(page, view)
    for candidate in view.candidates:
        _confounders(page, candidate)
    _beyond(page, view)
    _noise(page, view)
    _failures(page, view)
    _warnings(page, view)
    page.heading("Run it again")
    page.line(Text.assemble("  ", (view.reproduce, "bold")))
    page.line(Text(f"  {view.reproduce_text}", "dim"))


class _Page:
    """Lines for a console: translated where it has no Unicode, wrapped where it is narrow."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = max(console.width, _NARROWEST)
        self.ascii = console.options.ascii_only

    def line(self, text: Text | str = "", indent: int = 0) -> None:
        line = Text(text) if isinstance(text, str) else text
        if self.ascii:
            line.plain = _to_ascii(line.plain)
        self.console.print(
            Padding(line, (0, 0, 0, indent), expand=False) if indent else line, highlight=False
        )

    def row(self, text: Text) -> None:
        """A table row: cut at the edge of the console rather than wrapped."""
        if self.ascii:
            text.plain = _to_ascii(text.plain)
        text.truncate(self.console.width, overflow="crop")
        self.console.print(text, highlight=False, no_wrap=True, overflow="crop")

    def heading(self, title: str, note: str = "") -> None:
        self.line()
        head = Text.assemble((title, "bold underline"))
        if note:
            head.append(f"  {note}", "dim")
        self.line(head)


def _to_ascii(text: str) -> str:
    """One ASCII character for each, so that columns and styles keep their places."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _verdict(page: _Page, candidate: CandidateView) -> None:
    page.line()
    badge = Text(f" {candidate.word.upper()} ", _VERDICT_STYLES[candidate.decision])
    page.line(Text.assemble(badge, "  ", (candidate.arm.label, "bold")))
    grades = ", ".join(candidate.grades)
    page.line(Text(candidate.sentence), indent=2)
    for reason in candidate.reasons:
        page.line(Text.assemble("• ", reason.text, (f"  [{reason.rule}]", "dim")), indent=2)
    for link in candidate.chain:
        grade = f"  [{link.grade}]" if link.grade else ""
        style = "" if link.measured else "dim"
        page.line(Text.assemble((f"{link.title}: {link.text}", style), (grade, "dim")), indent=2)
    basis = f"policy {candidate.policy}" if candidate.policy else ""
    evidence = f"evidence: {grades}" if grades else ""
    if basis or evidence:
        page.line(Text(", ".join(p for p in (basis, evidence) if p), "dim"), indent=2)


def _table(page: _Page, view: ReportView, candidate: CandidateView, everything: bool) -> None:
    rows = [(m, f) for fam in view.primary for m in fam.metrics for f in m.findings]
    rows = [(m, f) for m, f in rows if f.arm == candidate.arm.name]
    if not rows:
        return
    scale = scale_of(f for _, f in rows)
    units = {m.unit for m, _ in rows}
    grades = {m.grade for m, _ in rows}
    label_width = min(34, max(22, page.width - 58))
    page.heading(
        "What moved",
        f"{candidate.arm.label} against {view.baseline.label}",
    )
    page.line(
        Text(f"{', '.join(sorted(units))}, {', '.join(sorted(grades))}; bars end at {scale}", "dim")
        if len(units) == 1
        else Text(f"{', '.join(sorted(grades))}; bars end at {scale}", "dim")
    )
    for family in view.primary:
        members = [
            (m, f) for m in family.metrics for f in m.findings if f.arm == candidate.arm.name
        ]
        if not members:
            continue
        page.line()
        page.line(Text(family.title, "bold"))
        shown = [(m, f) for m, f in members if f.moved or everything]
        regions = Counter(m.label for m, _ in shown)
        region = ""
        for metric, finding in shown:
            # Several quantities of one region: its name once, above them.
            grouped = regions[metric.label] > 1
            if grouped and metric.label != region:
                page.line(Text(metric.label, "dim"), indent=2)
            region = metric.label
            _metric(page, metric.short if grouped else metric.row, finding, label_width, scale)
        calm = [m.name if len(units) > 1 else m.row for m, f in members if not f.moved]
        if calm and not everything:
            page.line(Text(f"≈ equivalent: {', '.join(calm)}", "dim"), indent=2)


def _metric(page: _Page, name: str, finding: FindingView, label_width: int, scale: Scale) -> None:
    style = _STYLES[finding.decision]
    row = Text("  ")
    row.append(shorten(name, label_width).ljust(label_width))
    row.append(f"{finding.change_text:>10}", style)
    row.append(" ")
    row.append(_bar(finding, scale), style)
    row.append(" ")
    row.append(f"{_SHORT_WORDS.get(finding.decision, finding.word):<11}", style)
    row.append(" ")
    row.append(f"{finding.interval_text}", "dim")
    page.row(row)
    parts = _why(finding)
    if parts:
        page.row(Text("    ↳ " + _fitting(parts, page.console.width - 7), "dim"))


def _fitting(parts: list[str], width: int) -> str:
    """As many whole parts as fit; the first is shortened if need be."""
    line = shorten(parts[0], width)
    for part in parts[1:]:
        if len(line) + 2 + len(part) > width:
            break
        line += f", {part}"
    return line


def _why(finding: FindingView) -> list[str]:
    """The second line: who is responsible; else why nothing more can be said."""
    values = f"{finding.baseline_text} → {finding.candidate_text}"
    if finding.decision is Decision.EQUIVALENT:
        return []
    if finding.decision is Decision.UNDECIDED:
        return [values, finding.next_step or finding.reason]
    if finding.decision is Decision.BEHAVIOUR_CHANGED:
        events = [f"{e.name} {e.baseline} → {e.candidate}" for e in finding.events if e.changed]
        return [values, "behaviour changed", *(events or [finding.reason])]
    return [values, *finding.responsible]


def _bar(finding: FindingView, scale: Scale) -> str:
    """Left of the line: less than the baseline; right: more. Half a cell is the resolution."""
    ratio = finding.ratio
    share = 0.0 if ratio is None else scale.position(ratio)
    halves = min(_BAR_CELLS * 2, round(abs(share) * _BAR_CELLS * 2))
    if share < 0:
        drawn = ("╺" if halves % 2 else "") + "━" * (halves // 2)
        return drawn.rjust(_BAR_CELLS) + "│" + " " * _BAR_CELLS
    drawn = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return " " * _BAR_CELLS + "│" + drawn.ljust(_BAR_CELLS)


def _recurring(page: _Page, candidate: CandidateView) -> None:
    if not candidate.recurring:
        return
    page.heading("Functions that explain several metrics", "median change per operation")
    width = min(max(len(r.name) for r in candidate.recurring), page.width - 44)
    for item in candidate.recurring[:6]:
        row = Text("  ")
        row.append(shorten(item.name, width).ljust(width))
        row.append(f"{item.median_delta:>+10,.0f}".replace("-", "\N{MINUS SIGN}"))
        row.append(f"  in {plural(item.metrics, 'metric')}", "dim")
        row.append(f"  {item.group}", "dim")
        page.row(row)


def _architectures(page: _Page, view: ReportView) -> None:
    for panel in view.architectures:
        page.heading(f"{panel.first} beside {panel.other}", panel.arm_label)
        page.line(Text(panel.sentence), indent=2)
        width = min(34, max(22, page.width - 50))
        for item in panel.moved:
            row = Text("  ")
            row.append(shorten(item.label, width).ljust(width))
            row.append(f"{item.first.change_text:>10}", _STYLES[item.first.decision])
            row.append(f"{item.other.change_text:>11}", _STYLES[item.other.decision])
            row.append(f"  {item.word}")
            page.row(row)
        if calm := len(panel.rows) - len(panel.moved):
            page.line(Text(f"{plural(calm, 'metric')} equivalent on both", "dim"), indent=2)


def _behaviour(page: _Page, view: ReportView) -> None:
    changed = [
        (m, f)
        for m in view.behaviour
        for f in m.findings
        if f.decision is Decision.BEHAVIOUR_CHANGED
    ]
    calm = sum(len(m.findings) for m in view.behaviour) - len(changed)
    if not view.behaviour:
        return
    page.heading("Behaviour", "reported, never a gain or a loss")
    several = len(view.candidates) > 1
    changed.sort(key=lambda pair: -pair[1].log_size)
    for metric, finding in changed[:12]:
        row = Text("  ")
        row.append(shorten(metric.name, 40).ljust(41))
        row.append(f"{finding.baseline_text} → {finding.candidate_text}", "cyan")
        if several:
            row.append(f"  {finding.arm_label}", "dim")
        page.row(row)
    left = [plural(len(changed) - 12, "further change")] if len(changed) > 12 else []
    left += [f"{calm} without a change"] if calm else []
    if left:
        page.line(Text(f"{', '.join(left)} (all are in the report files)", "dim"), indent=2)


def _guest_times(page: _Page, view: ReportView) -> None:
    metrics = guest_times(view.behaviour)
    if not metrics:
        return
    page.heading(TITLE, "not evidence of speed: every instruction takes a nanosecond")
    several = len(view.candidates) > 1
    for metric in metrics:
        for finding in metric.findings:
            row = Text("  ", "dim")
            row.append(metric.quantity.ljust(18))
            row.append(f"{finding.baseline_text} → {finding.candidate_text} {metric.unit}")
            if several:
                row.append(f"  {finding.arm_label}")
            page.row(row)


def _confounders(page: _Page, candidate: CandidateView) -> None:
    if not candidate.confounders:
        return
    page.heading("What else differs", candidate.arm.label)
    for item in candidate.confounders[:12]:
        values = f"{item.baseline or 'absent'} → {item.candidate or 'absent'}"
        page.line(Text.assemble(f"{item.name}  ", (values, "cyan")), indent=2)
        if item.why:
            page.line(Text(item.why, "dim"), indent=4)
    if len(candidate.confounders) > 12:
        page.line(Text(f"and {len(candidate.confounders) - 12} more", "dim"), indent=2)


def _beyond(page: _Page, view: ReportView) -> None:
    """Risk in a few lines, cost in its main sentences; the other renderings have all of it."""
    if risk := view.beyond.risk:
        page.heading("Risk", f"as of {risk.day}")
        for arm in risk.arms:
            page.line(Text.assemble((arm.label, "bold"), f"  {arm.level_text}"), indent=2)
            for point in [p for p in arm.points if p.severity != "note"][:_RISK_POINTS]:
                page.line(Text(f"• {point.text}  [{point.area}]", "dim"), indent=4)
        for name in risk.stale:
            page.line(Text(f"stale: {name}", "yellow"), indent=2)
    for section in view.beyond.sections:
        if not section.lead:
            continue
        page.heading(section.title)
        for sentence in section.lead:
            page.line(sentence, indent=2)


def _noise(page: _Page, view: ReportView) -> None:
    if view.noise is None:
        return
    page.heading("Noise floor", "the baseline against itself")
    for name, value in view.noise.rows:
        page.line(Text.assemble(f"{name}: ", (value, "bold")), indent=2)


def _failures(page: _Page, view: ReportView) -> None:
    if not view.failures:
        return
    page.heading("Trials without a number", plural(len(view.failures), "failed trial"))
    for item in view.failures[:8]:
        page.line(
            Text.assemble(f"{item.arm}  ", (item.status, "bold"), f"  {item.reason}"), indent=2
        )
        for line in item.console.splitlines()[-3:]:
            page.line(Text(shorten(line, page.console.width - 6), "dim"), indent=4)
    if len(view.failures) > 8:
        page.line(Text(f"and {len(view.failures) - 8} more", "dim"), indent=2)


def _warnings(page: _Page, view: ReportView) -> None:
    if not view.warnings:
        return
    page.heading("Warnings")
    for warning in view.warnings[:10]:
        page.line(Text(f"• {warning}"), indent=2)
    if len(view.warnings) > 10:
        page.line(Text(f"and {len(view.warnings) - 10} more", "dim"), indent=2)
