"""The report as JUnit XML, for the test view of a CI system.

One suite per candidate. Its first case is the verdict, which fails unless it is *adopt* (the
command's exit code says the same); then one case per primary metric: failed if a rule that
speaks against the candidate rests on it, skipped if it is undecided, passed otherwise. Trials
that gave no number are errors of a suite of their own.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from kernleap.model.result import Decision, VerdictDecision
from kernleap.report.parts import CandidateView, FindingView, MetricView, ReportView

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HARM = frozenset({"guard", "behaviour"})


def render(view: ReportView) -> str:
    """The document, UTF-8 text with an XML declaration."""
    root = ET.Element("testsuites", name=_xml(f"kernleap {view.run_id}"))
    for candidate in view.candidates:
        _suite(root, view, candidate)
    if view.failures:
        trials = ET.SubElement(root, "testsuite", name="trials")
        for failure in view.failures:
            case = _case(trials, failure.arm, failure.trial)
            _outcome(case, "error", failure.status, failure.reason)
        _tally(trials)
    _tally(root)
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(root: ET.Element, view: ReportView, candidate: CandidateView) -> None:
    name = f"{candidate.arm.label} against {view.baseline.label}"
    suite = ET.SubElement(root, "testsuite", name=_xml(name), timestamp=_xml(view.created))
    verdict = _case(suite, candidate.arm.label, "verdict")
    why = "\n".join(f"{r.rule}: {r.text}" for r in candidate.reasons)
    if candidate.decision is not VerdictDecision.ADOPT:
        _outcome(verdict, "failure", candidate.word, why)
    else:
        ET.SubElement(verdict, "system-out").text = _xml(why)
    against = {metric for r in candidate.reasons if r.rule in _HARM for metric in r.metrics}
    for family in view.primary:
        for metric in family.metrics:
            for finding in metric.findings:
                if finding.arm == candidate.arm.name:
                    _metric(suite, metric, finding, metric.name in against)
    _tally(suite)


def _metric(suite: ET.Element, metric: MetricView, finding: FindingView, against: bool) -> None:
    case = _case(suite, f"{finding.arm_label}.{metric.workload}", metric.name)
    line = (
        f"{finding.baseline_text} -> {finding.candidate_text} {metric.unit} "
        f"({finding.change_text}, {finding.confidence_text} interval of the ratio "
        f"{finding.interval_text}; {metric.grade}): {finding.word}, {finding.reason}"
    )
    if against:
        because = "\n".join(finding.responsible)
        _outcome(case, "failure", finding.word, f"{line}\n{because}".rstrip())
    elif finding.decision is Decision.UNDECIDED:
        _outcome(case, "skipped", finding.word, f"{line}\n{finding.next_step}".rstrip())
    else:
        ET.SubElement(case, "system-out").text = _xml(line)


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_xml(group), name=_xml(name), time="0")


def _outcome(case: ET.Element, kind: str, word: str, text: str) -> None:
    element = ET.SubElement(case, kind, message=_xml(text.split("\n", 1)[0]))
    if kind != "skipped":
        element.set("type", _xml(word))
    element.text = _xml(text)


def _tally(element: ET.Element) -> None:
    """The counters that every reader of JUnit files expects."""
    for attribute, path in (
        ("tests", ".//testcase"), ("failures", ".//failure"), ("errors", ".//error"),
        ("skipped", ".//skipped"),
    ):  # fmt: skip
        element.set(attribute, str(len(element.findall(path))))
    element.set("time", "0")


def _xml(text: str) -> str:
    """Only characters that XML 1.0 can carry; ElementTree escapes the rest."""
    return _NOT_XML.sub("�", text)
