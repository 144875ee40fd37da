"""The forms in which a report can be written, besides the table on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernleap.report.parts import ReportView


@dataclass(frozen=True, slots=True)
class Format:
    """One form: the option that asks for it, and what makes it.

    `stored` names the copy that is kept beside the run, if one is.
    """

    name: str
    help: str
    render: Callable[[ReportView], str]
    stored: str = ""


# Renderers load when they are called: `--help` must be instant.
def _json(view: ReportView) -> str:
    from kernleap.report import json

    return json.dumps(json.render(view))


def _html(view: ReportView) -> str:
    from kernleap.report import html

    return html.render(view)


def _markdown(view: ReportView) -> str:
    from kernleap.report import markdown

    return markdown.render(view)


def _junit(view: ReportView) -> str:
    from kernleap.report import junit

    return junit.render(view)


def _sarif(view: ReportView) -> str:
    from kernleap.report import sarif

    return sarif.render(view)


FORMATS = (
    Format("json", "Also write the report as JSON (- for stdout).", _json, "report.json"),
    Format("html", "Also write the HTML report there (- for stdout).", _html, "report.html"),
    Format("markdown", "Also write Markdown for a comment on a change (- for stdout).", _markdown),
    Format("junit", "Also write JUnit XML for a CI system (- for stdout).", _junit),
    Format("sarif", "Also write SARIF 2.1.0 for code scanning (- for stdout).", _sarif),
)
