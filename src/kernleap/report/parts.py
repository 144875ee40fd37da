"""The parts of a report, as frozen data: what every renderer shows, already decided.

Text fields are clean (see kernleap.report.text) but not escaped. Numbers that a plot needs
are kept beside their text and are finite or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernleap.model.metric import Grade, Metric
from kernleap.model.result import Decision, Finding, VerdictDecision
from kernleap.model.run import RunData
from kernleap.report.architectures import ArchPanel
from kernleap.report.explain import Explanation, RecurringFunction
from kernleap.report.placement import PlacementView

if TYPE_CHECKING:
    from kernleap.judge import NoiseFloor
    from kernleap.report.beyond import Beyond


@dataclass(frozen=True, slots=True)
class ArmView:
    """One arm: how a page calls it, and the inputs that identify it."""

    name: str
    """The arm's own name, as it is in the plan."""
    reference: str
    """The reference as written; not cleaned, never shown."""
    label: str
    """What a page calls the arm: its name, cleaned."""
    role: str
    release: str
    kernel_sha256: str
    kconfig_sha256: str
    provenance: tuple[tuple[str, str], ...]
    boots: int
    """Boots that ended well."""
    failed: int


@dataclass(frozen=True, slots=True)
class PointsView:
    """Per-boot values of one metric in one arm, in block order, for the strip plot."""

    arm: str
    label: str
    role: str
    values: tuple[float, ...]
    median: float | None
    median_text: str
    spread_text: str
    modes: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """Events per operation on both sides."""

    name: str
    baseline: str
    candidate: str
    changed: bool


@dataclass(frozen=True, slots=True)
class FindingView:
    """One metric, one candidate."""

    finding: Finding
    arm: str
    arm_label: str
    decision: Decision
    word: str
    reason: str
    baseline_text: str
    candidate_text: str
    change_text: str
    ratio_text: str
    interval_text: str
    ratio: float | None
    low: float | None
    high: float | None
    margin: float
    confidence_text: str
    next_step: str
    """For undecided: how many further boots would decide it. Else empty."""
    remarks: tuple[str, ...]
    responsible: tuple[str, ...]
    explanation: Explanation | None
    events: tuple[EventRow, ...]

    @property
    def moved(self) -> bool:
        """Whether this is more than *equivalent*."""
        return self.decision is not Decision.EQUIVALENT

    @property
    def log_size(self) -> float:
        """How far the ratio is from 1, for ordering; 0 where it is unknown."""
        if self.ratio is None or self.ratio <= 0:
            return 0.0
        return abs(self.ratio - 1.0) if self.ratio >= 1 else abs(1.0 / self.ratio - 1.0)


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric over all candidates, one finding each, in arm order."""

    metric: Metric
    name: str
    label: str
    """`workload/form`, for tables whose quantity is understood."""
    workload: str
    form: str
    form_words: str
    quantity: str
    unit: str
    grade: str
    better_words: str
    description: str
    findings: tuple[FindingView, ...]
    points: tuple[PointsView, ...]
    caution: str = ""
    """What its figures must not be taken for."""

    @property
    def row(self) -> str:
        """What a row is called: by its region where the quantity is understood."""
        if self._path == "kernel_instructions" or self.grade == Grade.PLACED:
            return self.label
        if self._path.startswith("kernel_instructions_of_"):
            return f"{self.label}, {self.short}"
        if self.grade == Grade.TIMED:  # of one region, all of them
            return self.quantity
        return f"{self.form}/{self.quantity}" if self.form else self.name

    @property
    def short(self) -> str:
        """What a row is called below the name of its region."""
        if self._path == "kernel_instructions":
            return "kernel instructions"
        if self._path.startswith("kernel_instructions_of_"):
            return f"of the {self._path.rpartition('_')[2]}"
        return self.quantity

    @property
    def _path(self) -> str:
        return self.quantity.removesuffix("_per_token")

    @property
    def moved(self) -> bool:
        """Whether any candidate's finding is more than *equivalent*."""
        return any(f.moved for f in self.findings)


@dataclass(frozen=True, slots=True)
class FamilyView:
    """Metrics of workloads that belong together."""

    title: str
    metrics: tuple[MetricView, ...]


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One reason of a verdict."""

    rule: str
    text: str
    metrics: tuple[str, ...]
    decision: VerdictDecision | None
    """What this rule alone would decide."""
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many primary metrics got a decision."""

    decision: Decision
    word: str
    count: int


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link, for one candidate. `grade` is "" where nothing was measured."""

    title: str
    grade: str
    text: str
    measured: bool


@dataclass(frozen=True, slots=True)
class TailView:
    """One distribution, one candidate: (percent, finding) from the middle to the tail."""

    label: str
    grade: str
    points: tuple[tuple[float, FindingView], ...]

    @property
    def words(self) -> str:
        """The same as text, for those who do not see the plot."""
        return "; ".join(
            f"{percent:g} % quantile {f.change_text} ({f.interval_text}), {f.word}"
            for percent, f in self.points
        )


@dataclass(frozen=True, slots=True)
class CandidateView:
    """One candidate: its verdict, what speaks for and against it, what else differs."""

    arm: ArmView
    decision: VerdictDecision
    word: str
    sentence: str
    policy: str
    grades: tuple[str, ...]
    reasons: tuple[ReasonView, ...]
    tallies: tuple[Tally, ...]
    movers: tuple[tuple[MetricView, FindingView], ...]
    """The primary metrics that moved most, largest first."""
    recurring: tuple[RecurringFunction, ...]
    confounders: tuple[ConfounderView, ...]
    chain: tuple[ChainLink, ...]
    """From kernel to token to money: how far the evidence reaches."""
    tails: tuple[TailView, ...]
    """Distributions, quantile by quantile."""


@dataclass(frozen=True, slots=True)
class ConfounderView:
    """Something besides what was asked that differs between baseline and candidate."""

    kind: str
    name: str
    baseline: str
    candidate: str
    why: str


@dataclass(frozen=True, slots=True)
class FailureView:
    """A trial that gave no numbers."""

    trial: str
    arm: str
    status: str
    reason: str
    console: str
    attempt: int


@dataclass(frozen=True, slots=True)
class NoiseView:
    """The noise floor of this very run, from its A/A arm."""

    floor: NoiseFloor
    text: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MethodView:
    """One paragraph of how the numbers came about."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything a report shows. `run` is kept for the machine-readable form."""

    run: RunData
    run_id: str
    created: str
    title: str
    subtitle: str
    baseline: ArmView
    candidates: tuple[CandidateView, ...]
    arms: tuple[ArmView, ...]
    grades: tuple[str, ...]
    primary: tuple[FamilyView, ...]
    secondary: tuple[MetricView, ...]
    """Counts beside the primary ones of the same workload (user instructions, REP)."""
    behaviour: tuple[MetricView, ...]
    """Schedule-dependent forms and events: reported, never a gain or a loss."""
    architectures: tuple[ArchPanel, ...]
    """Each candidate on two architectures, where the run has several."""
    placement: tuple[PlacementView, ...]
    """Pictures of where threads ran, where the run looked at placement."""
    noise: NoiseView | None
    failures: tuple[FailureView, ...]
    warnings: tuple[str, ...]
    methods: tuple[MethodView, ...]
    provenance: tuple[tuple[str, str], ...]
    boots_text: str
    reproduce: str
    """The command that comes to the same again."""
    reproduce_text: str
    """What that command does."""
    beyond: Beyond
    """Risk and cost."""
    command: str
    """The command this run was made with."""

    @property
    def metrics(self) -> tuple[MetricView, ...]:
        """All metrics: primary, secondary, behaviour."""
        return (*(m for f in self.primary for m in f.metrics), *self.secondary, *self.behaviour)
