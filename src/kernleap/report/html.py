"""The report as one self-contained HTML file: no network, no fonts, readable without script.

The page is rendered with autoescaping on, and carries a content security policy that allows
its own style and its one small script (by digest) and nothing else, so that even a mistake
here could not make a hostile kernel name run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kernleap.model.result import Decision
from kernleap.report import marks, svg
from kernleap.report.bars import BarRow, bar_rows
from kernleap.report.guest_time import TITLE, guest_times
from kernleap.report.overview import overview
from kernleap.report.parts import FindingView, MetricView, ReportView
from kernleap.report.placement import in_words, timeline
from kernleap.report.scale import scale_of
from kernleap.report.tails import shift_plot
from kernleap.report.text import number, plural, signed
from kernleap.report.view import WORDS

SIZE_LIMIT = 1_000_000
"""Bytes of UTF-8 that a page should stay below."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How much a page shows of each metric. Figures and decisions are shown at every level."""

    functions: int
    """Functions named per metric and candidate; groups always add up to the total."""
    groups: int
    """Subsystems told apart; the rest is put together."""
    tables: int
    """How many metrics, those that moved most first, get their table of functions."""
    strips: int
    """How many, likewise, get their plot of boots."""
    calm_rows: int
    """Rows of side counts and behaviour that did not move."""
    failures: int
    """Failed trials whose console is shown."""


_ALL = 1_000_000
_LEVELS = (
    Detail(functions=24, groups=50, tables=_ALL, strips=_ALL, calm_rows=2000, failures=40),
    Detail(functions=10, groups=8, tables=_ALL, strips=_ALL, calm_rows=600, failures=20),
    Detail(functions=4, groups=4, tables=_ALL, strips=_ALL, calm_rows=200, failures=10),
    Detail(functions=4, groups=4, tables=100, strips=_ALL, calm_rows=50, failures=5),
    Detail(functions=4, groups=4, tables=50, strips=200, calm_rows=50, failures=5),
    Detail(functions=4, groups=4, tables=40, strips=60, calm_rows=50, failures=5),
    Detail(functions=4, groups=4, tables=12, strips=12, calm_rows=0, failures=2),
)


def render(view: ReportView) -> str:
    """The page: where it would exceed SIZE_LIMIT, detail gives way in steps, and it says so.

    Figures and decisions of every metric are never left out, so thousands of metrics can still
    give a larger page.
    """
    page = ""
    for detail in _LEVELS:
        page = render_at(view, detail)
        if len(page.encode("utf-8")) < SIZE_LIMIT:
            break
    return page


def render_at(view: ReportView, detail: Detail) -> str:
    """The page at one level of detail, however large it gets."""
    scale = scale_of(f for family in view.primary for m in family.metrics for f in m.findings)
    script = asset("page.js")
    changed = [m for m in view.behaviour if m.moved]
    moved_rest = [m for m in view.secondary if m.moved]
    by_size = sorted(view.metrics, key=_size, reverse=True)
    calm = [m for m in (*view.secondary, *view.behaviour) if not m.moved]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            view=view,
            detail=detail,
            reduced=detail is not _LEVELS[0],
            scale=scale,
            overviews={c.arm.name: overview(view.primary, c, scale) for c in view.candidates},
            changed=changed,
            with_table={m.name for m in by_size[: detail.tables]},
            with_strip={m.name for m in by_size[: detail.strips]},
            moved_rest=moved_rest,
            calm=calm,
            guest_times=guest_times(view.behaviour),
            guest_times_title=TITLE,
            several=len(view.candidates) > 1,
            decisions=[(d, WORDS[d]) for d in Decision],
            style=asset("style.css"),
            script=script,
            script_hash=_csp_hash(script),
        )
    )


@cache
def environment() -> Environment:
    """The templates of this package, with escaping always on."""
    made = Environment(
        loader=PackageLoader("kernleap.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        bars=svg.bars,
        forest=svg.forest,
        forest_axis=svg.forest_axis,
        mark=marks.mark,
        in_words=in_words,
        shift_plot=shift_plot,
        timeline=timeline,
        strip=svg.strip,
        symbols=marks.SYMBOLS,
        rows_of=_rows_of,
    )
    made.filters.update(number=number, plural=plural, signed=signed)
    return made


def _rows_of(finding: FindingView, detail: Detail) -> tuple[BarRow, ...]:
    if finding.explanation is None:
        return ()
    return bar_rows(finding.explanation, detail.functions, detail.groups)


def _size(metric: MetricView) -> tuple[bool, float]:
    return metric.moved, max((f.log_size for f in metric.findings), default=0.0)


@cache
def asset(name: str) -> Markup:
    """A style sheet or script of this package: our own text, so it is markup as it stands."""
    path = files("kernleap.report").joinpath("template", name)
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


def _csp_hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
