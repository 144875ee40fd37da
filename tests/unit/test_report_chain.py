"""The chain: every link says what was measured, or that it was not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernleap.model.metric import Better, Grade, Role
from kernleap.report import html, json, markdown
from kernleap.report.chain import links
from kernleap.report.parts import MetricView
from kernleap.report.view import view
from report_data import make

TITLES = ["Kernel paths", "A token in the lab", "Placement", "A token on a real machine", "Money"]


def regraded(metric: MetricView, name: str, grade: Grade) -> MetricView:
    """The same figures, as if they were of another metric."""
    declared = replace(metric.metric, name=name, grade=grade, role=Role.PATH, better=Better.LOWER)
    return replace(metric, metric=declared, name=name)


def test_a_micro_run_reaches_the_first_link_and_no_further() -> None:
    shown = view(*make(candidates=("7.2",)))
    chain = shown.candidates[0].chain
    assert [link.title for link in chain] == TITLES
    assert [link.measured for link in chain] == [True, False, False, False, False]
    paths = sum(
        m.quantity == "kernel_instructions" and m.form != "2p-other"
        for family in shown.primary
        for m in family.metrics
    )
    assert chain[0].text.startswith(f"{paths} paths: ")
    assert all("not " in link.text and not link.grade for link in chain[1:-1])
    assert "no fleet given" in chain[-1].text


@pytest.mark.parametrize(
    ("name", "grade", "place"),
    [
        ("serving/llama.cpp-tiny/kernel_instructions_per_token", Grade.COUNTED, 1),
        ("spin/2-llc/llc_locality", Grade.PLACED, 2),
        ("serving/llama.cpp-tiny/kernel_cpu_time_per_token", Grade.TIMED, 3),
    ],
)
def test_a_measurement_fills_its_own_link_alone(name: str, grade: Grade, place: int) -> None:
    shown = view(*make(candidates=("7.2",)))
    metric, finding = shown.candidates[0].movers[0]
    chain = links([regraded(metric, name, grade)], finding.arm)
    assert [link.measured for link in chain] == [n == place for n in range(4)]
    assert chain[place].grade == grade.value
    assert f"{name} {finding.change_text} ({finding.interval_text})" in chain[place].text


def test_every_form_of_the_report_shows_the_chain() -> None:
    shown = view(*make(candidates=("7.2",)))
    page, comment = html.render(shown), markdown.render(shown)
    document = json.render(shown)
    for title in TITLES:
        assert f"<b>{title}</b>" in page
        assert f"**{title}**" in comment
    assert [link["title"] for link in document["verdict"][0]["chain"]] == TITLES
