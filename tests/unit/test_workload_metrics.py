"""Metrics: their definitions, and that their documentation is what the catalogue says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kernleap.model.metric import Better, Grade, Role
from kernleap.probe.events import EVENTS as PLUGIN_EVENTS
from kernleap.workload import Region, load, metrics_for, region, suite
from kernleap.workload.metrics import EVENTS, INSTRUCTIONS
from kernleap.workload.reference import metrics_page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
REGENERATE = """\
docs/metrics.md is not what the catalogue says; write it again with
  PYTHONPATH=src python -c "from kernleap.workload.reference import metrics_page; \\
    open('docs/metrics.md', 'w').write(metrics_page())"
"""


def test_events_are_those_of_the_probe_in_the_same_order() -> None:
    assert tuple(event.name for event in EVENTS) == PLUGIN_EVENTS


def test_every_region_has_every_quantity() -> None:
    regions = suite("micro")
    metrics = metrics_for(regions)
    each = len(INSTRUCTIONS) + len(EVENTS)
    assert len(metrics) == each * len(regions)
    assert len({m.name for m in metrics}) == len(metrics)
    for position, one in enumerate(regions):
        mine = metrics[position * each : (position + 1) * each]
        assert {f"{m.workload}/{m.form}" for m in mine} == {one.name}
        assert mine[0].quantity == "kernel_instructions"
    assert {m.grade for m in metrics} == {Grade.COUNTED}


@pytest.mark.parametrize(
    ("form", "role", "better", "aggregation"),
    [
        ("1p", Role.PATH, Better.LOWER, "mode"),
        ("2p-fifo", Role.PATH, Better.LOWER, "mode"),
        ("2p-batch", Role.SCHEDULED, Better.LOWER, "median"),
        ("2p-other", Role.BEHAVIOUR, Better.NEITHER, "median"),
    ],
)
def test_kernel_instructions_by_form(
    form: str, role: Role, better: Better, aggregation: str
) -> None:
    primary, *others = metrics_for([region(f"pipe/{form}")])
    assert primary.name == f"pipe/{form}/kernel_instructions"
    assert (primary.role, primary.better, primary.aggregation) == (role, better, aggregation)
    assert {(m.role, m.better) for m in others} == {(Role.BEHAVIOUR, Better.NEITHER)}


def test_a_workload_may_say_how_its_operations_become_one_value() -> None:
    spec = load()["tcp-connect"]
    assert spec.aggregation == "median"
    for aggregation in ("mean", "median"):
        batched = replace(spec, aggregation=aggregation)
        for form in spec.forms:
            by_quantity = {m.quantity: m for m in metrics_for([Region(batched, form)])}
            assert by_quantity["kernel_instructions"].aggregation == aggregation
            assert by_quantity["rep_iterations"].aggregation == aggregation
            assert by_quantity["user_instructions"].aggregation == "median"


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == metrics_page(), REGENERATE


def test_the_page_names_every_workload_and_quantity() -> None:
    page = metrics_page()
    for name in load():
        assert f"**`{name}`**" in page
    for quantity in (*INSTRUCTIONS, *EVENTS):
        assert f"| `{quantity.name}` |" in page
