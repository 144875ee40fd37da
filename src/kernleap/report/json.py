"""The machine-readable report: schema `kernleap-report/2`, described in docs/report-schema.md.

Names are kept as they are (not shortened or cleaned as on a page), so that documents can be
joined by them; numbers are never NaN or infinite: what has no value is null.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from importlib.resources import files
from typing import Any

import numpy as np

from kernleap.model.result import ArmValues
from kernleap.model.trial import TrialRecord, TrialStatus
from kernleap.report import guest_time
from kernleap.report.architectures import ArchPanel
from kernleap.report.parts import (
    ArmView,
    CandidateView,
    FindingView,
    ReportView,
)

SCHEMA = "kernleap-report/2"


def render(view: ReportView) -> dict[str, Any]:
    """The report as JSON-serialisable data; `dumps` writes it."""
    document = {
        "schema": SCHEMA,
        "run": view.run_id,
        "created": view.created,
        "title": view.title,
        "grades": view.grades,
        "verdict": [_verdict(c) for c in view.candidates],
        "metrics": [_metric(f) for m in view.metrics for f in m.findings],
        "arms": [_arm(a) for a in view.arms],
        "confounders": [
            {"arm": c.arm.name, **_fields(item)} for c in view.candidates for item in c.confounders
        ],
        "architectures": [_panel(p) for p in view.architectures],
        "noise": _fields(view.noise.floor) if view.noise else None,
        "failures": [_fields(f) for f in view.failures],
        "risk": view.beyond.risk_data,
        "cost": view.beyond.cost_data,
        "warnings": view.warnings,
        "trials": [_trial(r) for r in view.run.records],
        "plan": view.run.plan,
        "reproduce": view.reproduce,
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def dumps(document: Mapping[str, Any]) -> str:
    """The text of a rendered report: ASCII, indented, ending with a newline."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every rendered report conforms to."""
    text = files("kernleap.report").joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def counts_sha256(record: TrialRecord) -> str:
    """One digest of all samples of a trial: equal digests, equal counts, operation by operation.

    SHA-256 over the metrics in order of name: the name in UTF-8, a zero byte, the digest of
    `samples_sha256` as 32 bytes.
    """
    whole = hashlib.sha256()
    for samples in sorted(record.samples, key=lambda s: s.metric):
        whole.update(_utf8(samples.metric) + b"\0")
        whole.update(bytes.fromhex(samples_sha256(samples.values)))
    return whole.hexdigest()


def samples_sha256(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """SHA-256 of samples in order, each as a little-endian IEEE 754 double."""
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _verdict(candidate: CandidateView) -> dict[str, Any]:
    return {
        "arm": candidate.arm.name,
        "decision": candidate.decision,
        "policy": candidate.policy,
        "grades": candidate.grades,
        "summary": candidate.sentence,
        "reasons": [_fields(r) for r in candidate.reasons],
        "chain": [_fields(link) for link in candidate.chain],
    }


def _metric(row: FindingView) -> dict[str, Any]:
    finding = row.finding
    comparison = finding.comparison
    metric = comparison.metric
    rest = row.explanation.rest if row.explanation else 0.0
    return {
        "name": metric.name,
        "arm": comparison.arm,
        "unit": metric.unit,
        "grade": metric.grade,
        "better": metric.better,
        "caution": guest_time.caution(metric),
        "role": metric.role,
        "baseline": _values(comparison.baseline),
        "candidate": _values(comparison.candidate),
        "ratio": comparison.ratio,
        "interval": comparison.interval,
        "confidence": comparison.confidence,
        "p_value": comparison.p_value,
        "margin": comparison.margin,
        "decision": finding.decision,
        "reason": finding.reason,
        "more_boots": finding.more_boots,
        "quality": comparison.quality,
        "functions": [_fields(f) for f in finding.functions],
        "functions_rest": rest,
        "explained_total": finding.explained_total,
        "events": [
            {"name": name, "baseline": baseline, "candidate": candidate}
            for name, baseline, candidate in finding.events
        ],
    }


def _panel(panel: ArchPanel) -> dict[str, Any]:
    return {
        "arm": panel.arm,
        "first": panel.first,
        "other": panel.other,
        "summary": panel.sentence,
        "metrics": [
            {
                "name": row.name,
                "first": row.first.finding.comparison.ratio,
                "other": row.other.finding.comparison.ratio,
                "agreement": row.agreement,
            }
            for row in panel.rows
        ],
    }


def _values(values: ArmValues) -> dict[str, Any]:
    return {
        "n": values.n,
        "values": values.values,
        "median": values.median,
        "spread": values.spread,
        "modes": values.modes,
    }


def _arm(arm: ArmView) -> dict[str, Any]:
    return {
        "name": arm.name,
        "role": arm.role,
        "reference": arm.reference,
        "release": arm.release,
        "kernel_sha256": arm.kernel_sha256,
        "boots": arm.boots,
        "failed": arm.failed,
    }


def _trial(record: TrialRecord) -> dict[str, Any]:
    ok = record.status is TrialStatus.OK
    return {
        "id": record.trial.id,
        "arm": record.trial.arm,
        "block": record.trial.block,
        "order": record.trial.order,
        "seed": record.trial.seed,
        "part": record.trial.part,
        "status": record.status,
        "reason": record.reason,
        "attempt": record.attempt,
        "cpu_seconds": record.cpu_seconds,
        "wall_seconds": record.wall_seconds,
        "counts_sha256": counts_sha256(record) if ok else None,
        "samples": {
            s.metric: {"n": s.values.size, "sha256": samples_sha256(s.values)}
            for s in record.samples
        },
    }


def _fields(item: Any) -> dict[str, Any]:
    return {f.name: getattr(item, f.name) for f in dataclasses.fields(item)}


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one return a kind
    """Plain JSON data: dataclasses become objects, non-finite numbers null."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(item) for name, item in _fields(value).items()}
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} has no JSON form here: {value!r:.80}")
