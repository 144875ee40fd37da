"""Parts of a report that are words and tables: laid out alike in a terminal, Markdown and HTML.

A section is made by a view (report/cost.py, report/tradeoff.py), which decides all wording; the
renderers only lay out. Texts in it are clean, and not yet escaped.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """Heading of a column; figures are aligned at the right."""

    title: str
    figures: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Cells in the order of the columns. `tone` is `strong`, `good`, `bad`, `quiet` or empty."""

    cells: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True, slots=True)
class TableView:
    """A table with its title, and what a reader must know of it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class SectionView:
    """A part of a report. `id` is its anchor in a page; `lead` begins with its main sentence."""

    id: str
    title: str
    lead: tuple[str, ...] = ()
    tables: tuple[TableView, ...] = ()
    notes: tuple[str, ...] = field(default=())
