"""The forms of the report that other programs read: JUnit, SARIF, Markdown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kernleap.model.result import Decision, VerdictDecision
from kernleap.report import junit, markdown, sarif
from kernleap.report.parts import ReportView
from kernleap.report.view import view
from report_data import make


def page(decision: VerdictDecision | None = None, **options: Any) -> ReportView:
    judgement, run = make(**options)
    if decision is not None:
        verdicts = {
            arm: replace(
                verdict,
                decision=decision,
                reasons=tuple(replace(r, rule="guard", decision=decision) for r in verdict.reasons),
            )
            for arm, verdict in judgement.verdicts.items()
        }
        judgement = replace(judgement, verdicts=verdicts)
    return view(judgement, run)


def named(page: ReportView, name: str) -> ReportView:
    """The same page with another name for its candidate."""
    arm = replace(page.candidates[0].arm, label=name)
    return replace(page, title=name, candidates=(replace(page.candidates[0], arm=arm),))


HOSTILE = "debian:7.2+cmdline:x=`|</testcase>]]>&<script>@someone ![i](x) \x00\x1b[31m\ud800"


@pytest.mark.parametrize("decision", list(VerdictDecision))
def test_junit_fails_exactly_where_the_exit_code_does(decision: VerdictDecision) -> None:
    root = ET.fromstring(junit.render(page(decision, candidates=("7.2",))))
    verdict = root.find(".//testcase[@name='verdict']")
    assert verdict is not None
    assert (verdict.find("failure") is None) == (decision is VerdictDecision.ADOPT)


def test_junit_marks_metrics_by_what_speaks_against_them() -> None:
    shown = page(VerdictDecision.REJECT, candidates=("7.2",))
    suite = ET.fromstring(junit.render(shown))[0]
    against = {m for r in shown.candidates[0].reasons for m in r.metrics}
    assert against
    cases = {c.get("name"): c for c in suite.iter("testcase")}
    for metric in (m for family in shown.primary for m in family.metrics):
        case, (finding,) = cases[metric.name], metric.findings
        assert (case.find("failure") is not None) == (metric.name in against)
        if metric.name not in against:
            undecided = finding.decision is Decision.UNDECIDED
            assert (case.find("skipped") is not None) == undecided
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "-1")) == len(list(suite.iter(tag)))


def test_junit_shows_failed_trials_as_errors() -> None:
    shown = page(failures=True)
    root = ET.fromstring(junit.render(shown))
    assert shown.failures
    assert [c.get("name") for c in root.findall(".//testcase[error]")] == [
        f.trial for f in shown.failures
    ]
    assert root.get("errors") == str(len(shown.failures))


def test_sarif_has_a_result_for_every_reason_and_its_rule() -> None:
    shown = page(VerdictDecision.REJECT, candidates=("7.1", "7.2"))
    (run,) = json.loads(sarif.render(shown))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    reasons = [(c, r) for c in shown.candidates for r in c.reasons]
    assert len(run["results"]) == len(reasons)
    for result, (candidate, reason) in zip(run["results"], reasons, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == reason.rule
        assert result["level"] == "error"
        assert result["kind"] == "fail"
        assert [p["logicalLocations"][0]["name"] for p in result["locations"]] == list(
            reason.metrics[:100]
        )
        assert candidate.arm.label in result["message"]["text"]


def test_sarif_fingerprints_outlive_the_run_and_tell_arms_apart() -> None:
    shown = page(candidates=("7.1", "7.2"))
    again = replace(shown, run_id="another", created="later")

    def fingerprints(view: ReportView) -> list[str]:
        (run,) = json.loads(sarif.render(view))["runs"]
        return [r["partialFingerprints"]["kernleap/v1"] for r in run["results"]]

    assert fingerprints(shown) == fingerprints(again)
    assert len(set(fingerprints(shown))) == len(fingerprints(shown))


def test_an_adopted_candidate_is_no_alert() -> None:
    (run,) = json.loads(sarif.render(page(VerdictDecision.ADOPT, candidates=("7.2",))))["runs"]
    assert {(r["level"], r["kind"]) for r in run["results"]} == {("none", "pass")}


def test_markdown_says_verdict_reasons_and_what_moved() -> None:
    shown = page(candidates=("7.2",))
    text = markdown.render(shown)
    (candidate,) = shown.candidates
    assert f"**{candidate.word}**" in text
    metric, finding = candidate.movers[0]
    row = next(line for line in text.splitlines() if f"`{metric.name}`" in line)
    for cell in (finding.baseline_text, finding.candidate_text, finding.change_text, finding.word):
        assert cell in row
    columns = {len(re.findall(r"(?<!\\)\|", ln)) for ln in text.splitlines() if ln[:1] == "|"}
    assert columns == {8}


def test_hostile_names_stay_text() -> None:
    shown = named(page(candidates=("7.2",)), HOSTILE)
    comment = markdown.render(shown)
    assert "<script>" not in comment
    assert not re.search(r"(?<!\\)@someone", comment)
    assert not re.search(r"(?<!\\)!\\?\[i", comment)
    root = ET.fromstring(junit.render(shown))
    assert root[0].get("name", "").startswith("debian:7.2+cmdline:x=`|</testcase>]]>&<script>")
    json.loads(sarif.render(shown))


def test_a_comment_stays_below_what_forges_accept() -> None:
    shown = page(candidates=("7.1", "7.2", "7.3"))
    reasons = shown.candidates[0].reasons * 300
    crowded = replace(
        shown, candidates=tuple(replace(c, reasons=reasons) for c in shown.candidates)
    )
    text = markdown.render(crowded)
    assert len(text) <= markdown.LENGTH_LIMIT
    assert "JSON report has everything" in text
