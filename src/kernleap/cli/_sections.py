"""Printing sections of a report: text, Markdown or a page."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernleap.cli._judging import STDOUT, write_file

if TYPE_CHECKING:
    from kernleap.report.section import SectionView

_WIDEST = 110


def print_sections(
    title: str,
    kind: str,
    sections: tuple[SectionView, ...],
    *,
    as_markdown: bool,
    html: Path | None,
) -> None:
    """Print to standard output, and write the page where one is asked for.

    Raises:
        InfrastructureError: the page cannot be written.
    """
    from kernleap.report import section_html, section_text

    if html is not None:
        page = section_html.page(title, kind, sections)
        if html == STDOUT:
            click.echo(page, nl=False)
            return
        write_file(html, page)
    if as_markdown:
        click.echo(section_text.markdown(sections), nl=False)
        return
    encoding = (sys.stdout.encoding or "ascii").lower()
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    text = section_text.text(
        sections,
        width=min(_WIDEST, columns),
        widest=columns if sys.stdout.isatty() else None,
        ascii_only=not encoding.startswith("utf"),
    )
    click.echo(f"kernleap {kind}: {title}\n\n{text}", nl=False)
