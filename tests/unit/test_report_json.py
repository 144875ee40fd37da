"""The machine-readable report: its schema, its digests, and what must never be in it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernleap.judge import Judgement
from kernleap.model.run import RunData, RunPlan
from kernleap.model.trial import Samples
from kernleap.report import json as report_json
from kernleap.report.view import view
from report_data import make

DOCS = Path(__file__).parents[2] / "docs" / "report-schema.md"


def rendered(**options: object) -> dict[str, object]:
    return report_json.render(view(*make(**options)))  # type: ignore[arg-type]


def parsed(document: dict[str, object]) -> dict[str, object]:
    """What a reader gets: strict JSON, in which NaN and Infinity are errors."""

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is not JSON")

    loaded: dict[str, object] = json.loads(report_json.dumps(document), parse_constant=refuse)
    return loaded


@pytest.mark.parametrize("candidates", [("7.2",), ("7.1", "7.2", "7.3")])
@pytest.mark.parametrize("aa", [True, False])
def test_real_output_conforms_to_the_schema(candidates: tuple[str, ...], aa: bool) -> None:
    schema = report_json.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    document = parsed(rendered(candidates=candidates, aa=aa))
    jsonschema.validate(document, schema)
    assert document["schema"] == "kernleap-report/2"


def test_the_schema_notices_a_missing_and_an_unknown_key() -> None:
    document = rendered()
    schema = report_json.schema()
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({k: v for k, v in document.items() if k != "metrics"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "colour": "red"}, schema)


def test_every_metric_and_candidate_has_one_entry() -> None:
    judgement, run = make(candidates=("7.1", "7.2"))
    entries = report_json.render(view(judgement, run))["metrics"]
    told = sorted((e["name"], e["arm"]) for e in entries)
    found = sorted(
        (f.comparison.metric.name, arm) for arm, fs in judgement.findings.items() for f in fs
    )
    assert told == found
    by_key = {(e["name"], e["arm"]): e for e in entries}
    for arm, findings in judgement.findings.items():
        for finding in findings:
            entry = by_key[finding.comparison.metric.name, arm]
            assert entry["decision"] == finding.decision.value
            assert tuple(entry["baseline"]["values"]) == finding.comparison.baseline.values
            assert entry["candidate"]["median"] == finding.comparison.candidate.median
            assert entry["ratio"] == finding.comparison.ratio


def test_functions_and_rest_sum_to_the_total() -> None:
    explained = [m for m in rendered()["metrics"] if m["functions"]]  # type: ignore[attr-defined]
    assert explained
    for metric in explained:
        named = math.fsum(f["delta"] for f in metric["functions"])
        assert named + metric["functions_rest"] == metric["explained_total"]


def test_values_that_are_not_finite_become_null() -> None:
    judgement, run = make()
    broken = broken_numbers(judgement)
    metric = parsed(report_json.render(view(broken, run)))["metrics"][0]  # type: ignore[index]
    assert metric["ratio"] is None
    assert metric["interval"] == [None, None]
    assert metric["p_value"] is None
    jsonschema.validate(report_json.render(view(broken, run)), report_json.schema())


def broken_numbers(judgement: Judgement) -> Judgement:
    """The judgement with NaN and infinities in its first finding."""
    arm, findings = next(iter(judgement.findings.items()))
    comparison = replace(
        findings[0].comparison, ratio=math.nan, interval=(-math.inf, math.inf), p_value=math.nan
    )
    first = replace(findings[0], comparison=comparison, explained_total=math.nan)
    return replace(judgement, findings={arm: (first, *findings[1:])})


def test_a_digest_depends_on_every_count_and_on_nothing_else() -> None:
    _, run = make()
    record = run.records[0]
    same = replace(record, cpu_seconds=99.0, samples=tuple(reversed(record.samples)))
    assert report_json.counts_sha256(record) == report_json.counts_sha256(same)
    first = record.samples[0]
    values = first.values.copy()
    values[-1] += 1
    other = replace(
        record, samples=(Samples(first.metric, first.unit, values), *record.samples[1:])
    )
    assert report_json.counts_sha256(record) != report_json.counts_sha256(other)


def test_the_digest_of_samples_is_pinned() -> None:
    """Reports of other machines carry these digests: they may never change silently."""
    values = np.array([1.0, 2.0, 292.0])
    assert (
        report_json.samples_sha256(values)
        == "57952ec05fdda7a6553ea4ec828ccff7ec463636070fc7e977e8e55c89ee8b4f"
    )


def test_a_failed_trial_has_no_digest_and_a_good_one_has() -> None:
    trials = rendered()["trials"]
    for trial in trials:  # type: ignore[attr-defined]
        assert (trial["counts_sha256"] is None) == (trial["status"] != "ok")


def test_the_plan_in_a_report_is_the_plan_of_the_run() -> None:
    from kernleap.store.codec import decode

    judgement, run = make()
    document = parsed(report_json.render(view(judgement, run)))
    assert decode(RunPlan, document["plan"]) == run.plan


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters()), st.text(st.characters(), max_size=300))
def test_any_name_survives_as_strict_json(name: str, reason: str) -> None:
    judgement, run = small()
    arm, findings = next(iter(judgement.findings.items()))
    metric = replace(findings[0].comparison.metric, name=name)
    first = replace(
        findings[0], comparison=replace(findings[0].comparison, metric=metric), reason=reason
    )
    document = parsed(report_json.render(view(replace(judgement, findings={arm: (first,)}), run)))
    told = document["metrics"][0]["name"]  # type: ignore[index]
    assert told == name.encode("utf-8", "replace").decode("utf-8")


@cache
def small() -> tuple[Judgement, RunData]:
    return make(boots=1, aa=False, failures=False)


def test_the_documentation_names_every_key_of_the_schema() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [key for key in sorted(schema_keys(report_json.schema())) if f"`{key}`" not in text]
    assert not missing


def test_the_documentation_names_no_key_that_the_schema_lacks() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_0-9]+)` \|", text, re.MULTILINE)
    assert rows
    assert set(rows) <= schema_keys(report_json.schema())


def schema_keys(node: object) -> set[str]:
    """All property names of a JSON Schema."""
    if isinstance(node, list):
        return set().union(*map(schema_keys, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = set(node.get("properties", {}))
    return own.union(*(schema_keys(v) for v in node.values()))
