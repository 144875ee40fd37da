"""The report as SARIF 2.1.0, for code scanning views.

A result is one reason of one verdict: its rule is the policy's rule, its logical locations are
the metrics it rests on, and its fingerprint stays the same from run to run, so that a view can
tell a new reason from a known one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kernleap import __version__
from kernleap.model.result import VerdictDecision
from kernleap.report.parts import CandidateView, ReasonView, ReportView

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LOCATIONS = 100
_LEVELS = {
    VerdictDecision.REJECT: ("error", "fail"),
    VerdictDecision.UNDECIDED: ("warning", "fail"),
    VerdictDecision.HOLD: ("note", "fail"),
    VerdictDecision.ADOPT: ("none", "pass"),
}
"""(level, kind): a level other than *none* is allowed with the kind *fail* alone."""


def render(view: ReportView) -> str:
    """The document as JSON text."""
    reasons = [(c, r) for c in view.candidates for r in c.reasons]
    rules = sorted({r.rule for _, r in reasons})
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "kernleap",
                        "version": __version__,
                        "rules": [{"id": rule, "name": rule} for rule in rules],
                    }
                },
                "automationDetails": {"id": f"kernleap/{view.run_id}"},
                "results": [_result(view, c, r, rules.index(r.rule)) for c, r in reasons],
                "invocations": [
                    {
                        "executionSuccessful": not view.failures,
                        "commandLine": view.command,
                        "toolExecutionNotifications": [
                            {
                                "level": "error",
                                "message": {"text": f"{f.arm} {f.trial}: {f.status}: {f.reason}"},
                            }
                            for f in view.failures
                        ],
                    }
                ],
            }
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _result(
    view: ReportView, candidate: CandidateView, reason: ReasonView, index: int
) -> dict[str, Any]:
    level, kind = _LEVELS[reason.decision or candidate.decision]
    identity = "\0".join((candidate.arm.reference, view.baseline.reference, reason.rule))
    evidence = {
        finding.finding.comparison.metric.name: finding
        for metric in view.metrics
        for finding in metric.findings
        if finding.arm == candidate.arm.name
    }
    return {
        "ruleId": reason.rule,
        "ruleIndex": index,
        "level": level,
        "kind": kind,
        "message": {"text": f"{candidate.arm.label}: {candidate.word}: {reason.text}"},
        "locations": [
            {
                "logicalLocations": [
                    {"name": name, "fullyQualifiedName": f"{candidate.arm.label}/{name}"}
                ],
                "message": {
                    "text": f"{evidence[name].change_text}, {evidence[name].word}"
                    if name in evidence
                    else name
                },
            }
            for name in reason.metrics[:_LOCATIONS]
        ],
        "partialFingerprints": {
            "kernleap/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
        },
    }
