"""One row of a trade-off: what is known of a kernel or configuration, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kernleap.cost.effect import Measured
from kernleap.cost.effort import is_patched, rollout_hours
from kernleap.cost.fleet import Fleet
from kernleap.cost.pareto import Span
from kernleap.cost.ratio import Ratio
from kernleap.model.evidence import RISK_LEVELS
from kernleap.model.kernel import KernelRef, ModifierKind
from kernleap.model.risk import RiskSummary

_EFFORTS = ("none", "set while running", "reboot", "reboot, and patches to carry")


@dataclass(frozen=True, slots=True)
class Effort:
    """What a row asks for. `hours` are staff hours of the first year, if a fleet says so."""

    kind: str
    hours: float | None

    @property
    def rank(self) -> int:
        """From less to more."""
        return _EFFORTS.index(self.kind)


@dataclass(frozen=True, slots=True)
class Option:
    """One row. None is *not known* in every field.

    Attributes:
        arm: its name; `run` where a second row of that name is needed.
        kernel: digest of its image; empty where it is not known.
        gain, counted: effects on timed throughput and on counted kernel instructions per token.
        tail: the timed 99 % quantile that is worst against the baseline.
        bill: ratio of the yearly bill, in the fleet's accounting; `per_year` the money.
        energy: ratio of J/token, and whether it was `measured` or `derived`.
        dominated_by, dominates: names of rows.
    """

    arm: str
    run: str
    is_baseline: bool
    kernel: str = ""
    gain: Measured | None = None
    counted: Measured | None = None
    tail: Measured | None = None
    bill: Ratio | None = None
    per_year: Ratio | None = None
    energy: tuple[Ratio, str] | None = None
    risk: RiskSummary | None = None
    effort: Effort | None = None
    criteria: Mapping[str, Span | None] = field(default_factory=dict)
    dominated_by: tuple[str, ...] = ()
    dominates: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name shown."""
        return f"{self.arm} ({self.run})" if self.run else self.arm

    @property
    def standing(self) -> str:
        """`better`: beats a row and no row beats it; `dominated`; `open`: nothing is proved."""
        if self.dominated_by:
            return "dominated"
        return "better" if self.dominates else "open"


def exact_criteria(
    risk: RiskSummary | None, effort: Effort, fleet: Fleet | None
) -> dict[str, Span | None]:
    """Criteria that are counted and not measured: risk, and hours (else kinds) of effort.

    A risk that nobody assessed, or of a level that is not known, is None.
    """
    spans: dict[str, Span | None] = {"risk": None}
    if risk is not None and risk.level in RISK_LEVELS:
        level = float(RISK_LEVELS.index(risk.level))
        spans["risk"] = Span(level, level)
    by_hours = fleet is not None and fleet.rollout is not None
    size = effort.hours if by_hours else float(effort.rank)
    spans["effort"] = None if size is None else Span(size, size)
    return spans


def effort_of(
    ref: KernelRef, baseline: KernelRef, arm: str, risk: RiskSummary | None, fleet: Fleet | None
) -> Effort:
    """What bringing this arm to a fleet takes, where the baseline runs."""
    at_boot = {m for m in ref.modifiers if m.kind is ModifierKind.CMDLINE}
    before = {m for m in baseline.modifiers if m.kind is ModifierKind.CMDLINE}
    patches = risk.extra_patches if risk else None
    if (fleet is not None and is_patched(fleet, arm)) or ref.source == "tree" or patches:
        kind = _EFFORTS[3]
    elif ref.base == baseline.base and at_boot == before:
        kind = _EFFORTS[1]
    else:
        kind = _EFFORTS[2]
    return Effort(kind, _hours(kind, fleet))


def _hours(kind: str, fleet: Fleet | None) -> float | None:
    if fleet is None or fleet.rollout is None:
        return None
    if kind == _EFFORTS[1]:
        return fleet.rollout.qualification.to("h")
    hours = rollout_hours(fleet)
    if kind == _EFFORTS[3]:
        if fleet.patched is None or hours is None:
            return None
        return hours + fleet.patched.rebase.to("h") * fleet.patched.releases_per_year.to("")
    return hours


def can_join(one: Option, other: Option) -> bool:
    """Whether two rows are of one arm and know different things."""
    measured = [
        {name for name, span in row.criteria.items() if span and name not in ("risk", "effort")}
        for row in (one, other)
    ]
    same_kernel = not (one.kernel and other.kernel) or one.kernel == other.kernel
    return one.arm == other.arm and same_kernel and not (measured[0] & measured[1])


def joined(one: Option, other: Option) -> Option:
    """One row with what both know."""
    names = ("kernel", "gain", "counted", "tail", "bill", "per_year", "energy", "risk", "effort")
    first = {name: getattr(one, name) or getattr(other, name) for name in names}
    known = {k: v for k, v in other.criteria.items() if v is not None}
    return replace(one, **first, criteria={**one.criteria, **known})
