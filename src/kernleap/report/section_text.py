"""Sections as plain text for a terminal or a file, and as Markdown."""

from __future__ import annotations

import textwrap

from kernleap.report.markdown import plain
from kernleap.report.section import SectionView, TableView

_ASCII = str.maketrans({"\N{MINUS SIGN}": "-", "·": "-", "…": "~", "–": "-", "×": "x"})


def text(
    sections: tuple[SectionView, ...],
    *,
    width: int = 100,
    widest: int | None = None,
    ascii_only: bool = False,
) -> str:
    """Sections one below another.

    Args:
        sections: what to show.
        width: prose is wrapped there.
        widest: tables wider than this have a line for each cell; without one, none has.
        ascii_only: nothing but ASCII.
    """
    blocks = [_text(section, width, widest) for section in sections]
    page = "\n\n".join(blocks) + "\n"
    return page.translate(_ASCII).encode("ascii", "replace").decode() if ascii_only else page


def _text(section: SectionView, width: int, widest: int | None) -> str:
    lines = [section.title, "=" * len(section.title)]
    for sentence in section.lead:
        lines += textwrap.wrap(sentence, width)
    for table in section.tables:
        shown = aligned(table)
        if widest is not None and len(shown[0]) + 2 > widest:
            shown = one_below_another(table)
        lines += ["", table.title, *(f"  {line}".rstrip() for line in shown)]
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


def one_below_another(table: TableView) -> list[str]:
    """The same with a line for each cell, for tables wider than what they are shown on."""
    _, *columns = (column.title for column in table.columns)
    width = max(map(len, columns), default=0)
    lines = []
    for row in table.rows:
        name, *cells = row.cells
        lines.append(name)
        pairs = zip(columns, cells, strict=True)
        lines += [f"  {title.ljust(width)}  {cell}" for title, cell in pairs]
    return lines


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
