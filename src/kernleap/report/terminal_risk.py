"""The risk section in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kernleap.report.risk import RiskArmView, RiskView

_STYLE = {"high": "bold red", "moderate": "yellow", "low": "green", "unknown": "magenta"}


def render_risk(view: RiskView, console: Console, *, everything: bool = False) -> None:
    """Print a table of facts, then what counts and what is not known, kernel by kernel.

    Rows that nobody knows are left out unless `everything`; so are notes beyond the first five.
    """
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", no_wrap=True)
    for arm in view.arms:
        table.add_column(escape(arm.label), style="", overflow="fold")
    for row in view.rows:
        if everything or set(row.cells) != {"not known"}:
            cells = [escape(cell) for cell in row.cells]
            table.add_row(row.name, *(f"[bold]{c}[/bold]" if row.differs else c for c in cells))
    console.print(table)
    for arm in view.arms:
        _arm(arm, console, everything)
    console.print("\n[dim]data[/dim]")
    for line in view.data:
        style = "yellow" if "STALE" in line else "dim"
        console.print(f"  [{style}]{escape(line)}[/{style}]")


def _arm(arm: RiskArmView, console: Console, everything: bool) -> None:
    style = _STYLE.get(arm.level, "")
    console.print(
        f"\n[bold]{escape(arm.label)}[/bold]: [{style}]{escape(arm.level_text)}[/{style}]"
    )
    notes = 0
    for point in arm.points:
        notes += point.severity == "note"
        if point.severity == "note" and notes > 5 and not everything:
            continue
        console.print(f"  {point.severity:<9}{escape(point.text)}")
        console.print(f"           [dim]{escape(point.evidence)}[/dim]")
    if notes > 5 and not everything:
        console.print(f"  [dim]{notes - 5} more notes with --all[/dim]")
    for _, text, remedy in arm.gaps:
        console.print(f"  [magenta]unknown[/magenta]  {escape(text)}")
        if remedy:
            console.print(f"           [dim]{escape(remedy)}[/dim]")
    if everything:
        for name, title, why in arm.cves:
            console.print(f"  {escape(name)}  {escape(title)}\n           [dim]{escape(why)}[/dim]")
        if arm.more_cves:
            console.print(f"  [dim]{arm.more_cves} more with --json[/dim]")
