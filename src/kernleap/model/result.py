"""Results: comparisons of arms, findings about metrics, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from kernleap.model.metric import Metric


class Decision(StrEnum):
    """What can be said of one metric."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    BEHAVIOUR_CHANGED = "behaviour_changed"


class VerdictDecision(StrEnum):
    """What can be said of a candidate."""

    ADOPT = "adopt"
    HOLD = "hold"
    REJECT = "reject"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ArmValues:
    """Per-boot values of one metric in one arm, in block order."""

    n: int
    values: tuple[float, ...]
    median: float
    """For counted metrics the lower median, so that it is the value of a real boot."""
    spread: float
    """(max - min) / median; 0 when all boots agree."""
    modes: tuple[float, ...] = ()
    """Distinct clusters of values over boots; more than one means multi-modal."""


@dataclass(frozen=True, slots=True)
class FunctionDelta:
    """Change of one kernel function, in kernel instructions per operation."""

    name: str
    group: str
    baseline: float
    candidate: float
    delta: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric, one candidate arm against the baseline.

    `ratio` is candidate/baseline of the arms' central values; `interval` is its
    confidence interval at level `confidence`; both in linear scale (1.0 = no change).
    """

    metric: Metric
    arm: str
    baseline: ArmValues
    candidate: ArmValues
    ratio: float
    interval: tuple[float, float]
    confidence: float
    p_value: float
    margin: float
    quality: tuple[str, ...] = ()
    """Remarks: `multi-modal`, `single boot`, ..."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A comparison with its decision and the evidence that explains it.

    `functions` are sorted by absolute delta; together with `functions_rest` (the sum of
    what was left out) they add up to `explained_total` exactly.
    """

    comparison: Comparison
    decision: Decision
    reason: str
    more_boots: int | None = None
    """For undecided: how many further boots per arm would decide it, if that is known."""
    functions: tuple[FunctionDelta, ...] = ()
    explained_total: float = 0.0
    events: tuple[tuple[str, float, float], ...] = ()
    """(event, baseline per operation, candidate per operation) where they are known."""


@dataclass(frozen=True, slots=True)
class Confounder:
    """Something that differs between two arms besides what was asked."""

    kind: str
    """`config`, `compiler`, `release`, `provenance`, ..."""
    name: str
    baseline: str
    candidate: str
    why_it_matters: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a verdict: the rule, and the findings it rests on."""

    rule: str
    text: str
    metrics: tuple[str, ...] = ()
    decision: VerdictDecision | None = None
    """What this rule alone would decide."""
    evidence: tuple[str, ...] = ()
    """What a rule rests on that is no metric: a fact with its source and date."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one candidate arm."""

    arm: str
    decision: VerdictDecision
    reasons: tuple[Reason, ...]
    policy: str
    grades: tuple[str, ...] = field(default=())
