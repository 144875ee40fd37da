"""Sections as a self-contained HTML page, in the style of the report."""

from __future__ import annotations

from kernleap.report.html import asset, environment
from kernleap.report.section import SectionView


def page(title: str, kind: str, sections: tuple[SectionView, ...]) -> str:
    """The page; `kind` says what it is (`cost`, `trade-off`). No script, no network."""
    template = environment().get_template("sections.html.j2")
    return template.render(title=title, kind=kind, sections=sections, style=asset("style.css"))
