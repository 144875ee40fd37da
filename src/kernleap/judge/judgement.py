"""What judging a run gives: all that a report shows beyond the raw data."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernleap.model.result import Confounder, Finding, Verdict
from kernleap.model.run import RunPlan


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What comparing the baseline with itself showed, in this very run.

    Attributes:
        arm: the `aa` arm.
        largest: for each role, the largest |ratio - 1| over that role's metrics.
        metrics: how many metrics were compared.
        false_calls: metrics that were called changed although nothing differed.
    """

    arm: str
    largest: dict[str, float]
    metrics: int
    false_calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judged run.

    `findings`, `verdicts` and `confounders` are keyed by candidate arm. An arm that has too
    few good boots has no findings (no numbers), and a verdict that says why. `failures` are
    (trial id, status, reason): infrastructure results, never numbers.
    """

    plan: RunPlan
    findings: dict[str, tuple[Finding, ...]]
    verdicts: dict[str, Verdict]
    confounders: dict[str, tuple[Confounder, ...]]
    noise: NoiseFloor | None = None
    failures: tuple[tuple[str, str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())
