"""Shift plots: which distributions are shown, and that the plot says what the figures say."""

from __future__ import annotations

import re
from dataclasses import replace

from kernleap.model.metric import Better, Grade, Role
from kernleap.report import html
from kernleap.report.parts import MetricView, ReportView
from kernleap.report.tails import shift_plot, tails
from kernleap.report.view import view
from report_data import make

STEM = "serving/llama.cpp-tiny/ttft"


def quantiles(better: Better = Better.LOWER) -> tuple[MetricView, ...]:
    """Three metrics of a real view, renamed to quantiles of one latency."""
    shown = view(*make(candidates=("7.2",)))
    picked = [m for family in shown.primary for m in family.metrics][:3]
    return tuple(
        replace(
            metric,
            name=f"{STEM}_p{percent}",
            grade="timed",
            metric=replace(
                metric.metric,
                name=f"{STEM}_p{percent}",
                grade=Grade.TIMED,
                role=Role.SCHEDULED,
                better=better,
            ),
        )
        for metric, percent in zip(picked, ("99", "50", "99.9"), strict=True)
    )


def arm_of(metrics: tuple[MetricView, ...]) -> str:
    return metrics[0].findings[0].arm


def test_quantiles_of_one_latency_are_one_plot_in_order() -> None:
    metrics = quantiles()
    (tail,) = tails(metrics, arm_of(metrics))
    assert tail.label == STEM
    assert [percent for percent, _ in tail.points] == [50, 99, 99.9]
    assert tail.points[0][1] is metrics[1].findings[0]


def test_guest_time_single_quantiles_and_other_arms_are_not_plotted() -> None:
    guest = quantiles(Better.NEITHER)
    assert tails(guest, arm_of(guest)) == ()
    metrics = quantiles()
    assert tails(metrics[:1], arm_of(metrics)) == ()
    assert tails(metrics, "another arm") == ()


def test_the_plot_puts_more_above_the_line_and_less_below() -> None:
    metrics = quantiles()
    up = replace(metrics[0].findings[0], ratio=1.08, low=1.05, high=1.11)
    down = replace(metrics[1].findings[0], ratio=0.95, low=0.93, high=0.97)
    changed = (
        replace(metrics[0], findings=(up,)),
        replace(metrics[1], findings=(down,)),
    )
    (tail,) = tails(changed, up.arm)
    drawn = shift_plot(tail)
    axis = re.search(r'class="ax" d="M\d+ (\d+)H', drawn)
    spans = re.findall(r'class="ci" d="M[\d.]+ ([\d.]+)V([\d.]+)"', drawn)
    assert axis is not None
    below, above = ([float(v) for v in span] for span in spans)
    assert min(below) > float(axis[1]) > max(above)
    assert "p50" in drawn
    assert up.change_text in drawn


def test_the_page_has_a_section_for_tails_only_if_there_are_any() -> None:
    shown = view(*make(candidates=("7.2",)))
    assert 'id="tails"' not in html.render(shown)
    metrics = quantiles()
    with_tails = replace(shown.candidates[0], tails=tails(metrics, arm_of(metrics)))
    page: ReportView = replace(shown, candidates=(with_tails,))
    text = html.render(page)
    assert 'id="tails"' in text
    assert f"Shift of {STEM}" in text
