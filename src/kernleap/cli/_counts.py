"""Comparing the counts of two runs, sample by sample, by digest.

A digest of all samples of a metric in a trial (report.json carries the same) says as much as
the samples do: whether every one of them is equal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.model.run import RunData, RunPlan
from kernleap.model.trial import TrialStatus
from kernleap.report.json import SCHEMA, samples_sha256
from kernleap.store.codec import CodecError
from kernleap.store.plan_file import plan_from


@dataclass(frozen=True, slots=True)
class SamplesDigest:
    """All samples of one metric in one trial: how many, and SHA-256 over them in order."""

    n: int
    sha256: str


_READABLE = (SCHEMA, "kernleap-report/1")
"""What reproducing needs of the first is in the second as well, only the plan has another form."""

Counts = dict[str, dict[str, SamplesDigest]]
"""Trial id → metric → digest, of the trials that ended well."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of a trial that came out different."""

    trial: str
    metric: str
    what: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What comparing found. `missing` are trials that ended well before and not now."""

    metrics: tuple[Difference, ...]
    missing: tuple[str, ...]
    trials: int
    compared: int
    samples: int


def counts_of_run(run: RunData) -> Counts:
    """Digests of a run's `ok` trials."""
    return {
        record.trial.id: {
            one.metric: SamplesDigest(one.values.size, samples_sha256(one.values))
            for one in record.samples
        }
        for record in run.records
        if record.status is TrialStatus.OK
    }


def counts_of_report(path: Path) -> tuple[RunPlan, Counts]:
    """Plan and digests in a JSON report, of this schema or of an earlier one.

    Raises:
        UsageError: it cannot be read, or is not such a report.
    """
    try:
        document = _report(json.loads(path.read_bytes()))
        plan = plan_from(document["plan"], "plan")
        counts = {
            str(trial["id"]): {
                str(metric): SamplesDigest(int(one["n"]), str(one["sha256"]))
                for metric, one in trial["samples"].items()
            }
            for trial in document["trials"]
            if trial["status"] == TrialStatus.OK
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CodecError) as error:
        cause = str(error)
        if isinstance(error, KeyError):
            cause = f"{error} is missing"
        elif isinstance(error, OSError):
            cause = error.strerror or cause
        raise UsageError(
            "Not a report that can be reproduced",
            where=str(path),
            cause=cause,
            next_step="give a file made by `kernleap report RUN --json FILE`, or the id of a run",
        ) from error
    return plan, counts


def _report(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict) or document.get("schema") not in _READABLE:
        raise ValueError(f"its schema is not {SCHEMA}")
    return document


def compare_counts(before: Counts, after: Counts) -> Differences:
    """Every metric of every trial of `before` that is not the same in `after`."""
    differences = []
    missing = tuple(trial for trial in before if trial not in after)
    common = [trial for trial in before if trial in after]
    for trial in common:
        for metric in dict.fromkeys((*before[trial], *after[trial])):
            then, now = before[trial].get(metric), after[trial].get(metric)
            if then is None or now is None:
                differences.append(
                    Difference(trial, metric, "only now" if then is None else "only then")
                )
            elif then != now:
                what = "values" if then.n == now.n else f"{then.n} samples then, {now.n} now"
                differences.append(Difference(trial, metric, what))
    return Differences(
        metrics=tuple(differences),
        missing=missing,
        trials=len(common),
        compared=len({metric for trial in common for metric in before[trial]}),
        samples=sum(one.n for trial in common for one in before[trial].values()),
    )
