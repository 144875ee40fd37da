"""The report in a terminal: any width, no colour, no Unicode, hostile names."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from kernleap.report import terminal
from kernleap.report.parts import ReportView
from kernleap.report.view import view
from report_data import make


@pytest.fixture(scope="module")
def page() -> ReportView:
    return view(*make())


def printed(page: ReportView, width: int = 80, everything: bool = False, **options: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, **options)  # type: ignore[arg-type]
    terminal.render(page, console, everything=everything)
    return out.getvalue()


def test_the_verdict_comes_first(page: ReportView) -> None:
    head = printed(page).splitlines()[:5]
    assert head[0].startswith("kernleap  debian:7.2 against debian:7.0")
    assert any("REJECT" in line for line in head)


@pytest.mark.parametrize("width", [60, 80, 100, 132, 200])
def test_no_line_is_wider_than_the_terminal(page: ReportView, width: int) -> None:
    lines = printed(page, width, everything=True).splitlines()
    assert max(map(len, lines)) <= width


def test_without_a_terminal_there_is_no_escape_sequence(page: ReportView) -> None:
    assert "\x1b" not in printed(page)


def test_colour_adds_nothing_that_the_words_do_not_say(page: ReportView) -> None:
    coloured = printed(page, force_terminal=True, color_system="truecolor")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(page)


def test_a_terminal_without_unicode_gets_ascii(page: ReportView) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    terminal.render(page, Console(file=out, width=80))
    out.flush()
    text = raw.getvalue().decode("ascii")
    assert "+13.4" in text
    assert "?" not in text


def test_every_primary_metric_is_named_with_its_decision(page: ReportView) -> None:
    text = printed(page, 100, everything=True)
    for family in page.primary:
        assert family.title in text
        for metric in family.metrics:
            row = next(line for line in text.splitlines() if line.startswith(f"  {metric.label} "))
            finding = metric.findings[0]
            assert finding.change_text in row
            assert finding.word in row
            assert finding.interval_text in row


def test_equivalent_metrics_are_folded_unless_asked_for(page: ReportView) -> None:
    assert "≈ equivalent: syscall-getppid/1p" in printed(page)
    assert "≈ equivalent" not in printed(page, everything=True)


def test_what_moved_names_its_function(page: ReportView) -> None:
    lines = printed(page, 120).splitlines()
    _, finding = page.candidates[0].movers[0]
    place = next(i for i, line in enumerate(lines) if finding.change_text in line)
    assert finding.responsible[0] in lines[place + 1]


def test_it_ends_with_how_to_run_it_again(page: ReportView) -> None:
    assert page.reproduce in "\n".join(printed(page).splitlines()[-3:])


def test_bars_point_the_way_of_the_change(page: ReportView) -> None:
    rows = [line for line in printed(page, 100).splitlines() if "│" in line]
    longer = [r for r in rows if "+13.4" in r]
    shorter = [r for r in rows if " better " in r]
    assert longer
    assert all("│━" in r for r in longer)
    assert shorter
    assert all("╺│" in r or "━│" in r for r in shorter)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.text(st.characters(), min_size=1, max_size=300))
def test_no_name_can_write_escapes_or_markup(name: str) -> None:
    judgement, run = hostile(name)
    text = printed(view(judgement, run), 80, force_terminal=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert plain.replace("\n", "").isprintable()


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    judgement, run = hostile("[bold red]x[/bold red]\x1b]0;owned\x07")
    text = printed(view(judgement, run), 120)
    assert r"[bold red]x[/bold red]\x1b]0;owned\x07" in text


def hostile(name: str):  # type: ignore[no-untyped-def]
    """A small run in which every text from outside is `name`."""
    judgement, run = make(boots=1, aa=False)
    failures = tuple((trial, status, name) for trial, status, _ in judgement.failures)
    confounders = {
        arm: tuple(replace(c, name=name, baseline=name, candidate=name) for c in rows)
        for arm, rows in judgement.confounders.items()
    }
    return replace(judgement, failures=failures, confounders=confounders, warnings=(name,)), run
