"""Sections as plain text for a terminal or a file, and as Markdown."""

from __future__ import annotations

import textwrap

from kernleap.report.markdown import plain
from kernleap.report.section import SectionView, TableView

_ASCII = str.maketrans({"\N{MINUS SIGN}": "-", "·": "-", "…": "~", "–": "-", "×": "x"})


def text(sections: tuple[SectionView, ...], *, width: int = 100, ascii_only: bool = False) -> str:
    """Sections one below another; prose is wrapped, tables are as wide as they are."""
    blocks = [_text(section, width) for section in sections]
    page = "\n\n".join(blocks) + "\n"
    return page.translate(_ASCII).encode("ascii", "replace").decode() if ascii_only else page


def _text(section: SectionView, width: int) -> str:
    lines = [section.title, "=" * len(section.title)]
    for sentence in section.lead:
        lines += textwrap.wrap(sentence, width)
    for table in section.tables:
        lines += ["", table.title, *(f"  {line}".rstrip() for line in aligned(table))]
        lines += textwrap.wrap(table.note, width, initial_indent="  ", subsequent_indent="  ")
    if section.notes:
        lines.append("")
    for note in section.notes:
        lines += textwrap.wrap(note, width, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines)


def aligned(table: TableView) -> list[str]:
    """The lines of a table, headings first; figures at the right of their column."""
    heads = [column.title for column in table.columns]
    rows = [heads, *(list(row.cells) for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    return [
        "  ".join(
            cell.rjust(width) if column.figures else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        )
        for row in rows
    ]


def markdown(sections: tuple[SectionView, ...]) -> str:
    """The same as Markdown; everything is escaped."""
    return "\n\n".join(block for s in sections for block in _markdown(s)) + "\n"


def _markdown(section: SectionView) -> list[str]:
    blocks = [f"## {plain(section.title)}"]
    if section.lead:
        blocks.append(" ".join(plain(sentence) for sentence in section.lead))
    for table in section.tables:
        heads = " | ".join(plain(column.title) for column in table.columns)
        rules = "|".join("--:" if column.figures else "---" for column in table.columns)
        rows = [" | ".join(plain(cell) for cell in row.cells) for row in table.rows]
        lines = [f"| {heads} |", f"|{rules}|", *(f"| {row} |" for row in rows)]
        blocks += [f"**{plain(table.title)}**", "\n".join(lines)]
        if table.note:
            blocks.append(plain(table.note))
    if section.notes:
        blocks.append("\n".join(f"- {plain(note)}" for note in section.notes))
    return blocks
