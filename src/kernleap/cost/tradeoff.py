"""Kernels and configurations side by side: gain, tail, bill, energy, risk, effort, and what wins.

Rows of one table have the same baseline: the same kernel, by digest where it is known, with the
same modifiers. What was measured on different machines is never compared: it is another criterion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kernleap.cost.assemble import ArmCost, cost
from kernleap.cost.effect import Evidence, Measured, evidence
from kernleap.cost.fleet import Fleet
from kernleap.cost.option import Effort, Option, can_join, effort_of, exact_criteria, joined
from kernleap.cost.pareto import Span, dominators
from kernleap.cost.ratio import Ratio
from kernleap.judge import Judgement
from kernleap.model.metric import Better, Grade
from kernleap.model.result import Comparison
from kernleap.model.risk import RiskSummary
from kernleap.model.run import RunPlan

TAIL = "_p99"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows against one baseline, which is the first of them."""

    baseline: str
    runs: tuple[str, ...]
    options: tuple[Option, ...]


Judged = tuple[Judgement, Mapping[str, RiskSummary]]
"""A judged run, and what is known of the risk of its arms."""


def tradeoff(
    runs: Sequence[Judged],
    *,
    fleet: Fleet | None = None,
    slack: float = 0.01,
    metric: str | None = None,
    seed: int = 1,
) -> tuple[Table, ...]:
    """A table for each baseline that the runs have, in the order of the runs.

    Args:
        runs: judged runs with their risks.
        fleet: for bill, energy and hours; without one they are not known.
        slack: relative difference that does not matter (the policy's guard margin).
        metric: the throughput to go by, where a run has several; a pattern.
        seed: of the draws behind the bill.
    """
    groups: dict[str, list[Judged]] = {}
    for judgement, risks in runs:
        groups.setdefault(_identity(judgement.plan), []).append((judgement, risks))
    return tuple(_table(group, _Given(fleet, slack, metric, seed)) for group in groups.values())


@dataclass(frozen=True, slots=True)
class _Given:
    fleet: Fleet | None
    slack: float
    metric: str | None
    seed: int


def _identity(plan: RunPlan) -> str:
    arm = plan.baseline
    kernel = _kernel(plan, arm.name) or str(arm.ref.base)
    return " ".join([kernel, *map(str, arm.ref.modifiers)])


def _kernel(plan: RunPlan, arm: str) -> str:
    return next((i.kernel_sha256 for i in plan.inputs if i.arm == arm), "")


def _table(group: list[Judged], given: _Given) -> Table:
    first = group[0][0].plan
    baseline = _baseline(group, given)
    options: list[Option] = []
    for judgement, risks in group:
        for option in _options(judgement, risks, given):
            place = next((n for n, o in enumerate(options) if can_join(o, option)), None)
            if place is not None:
                options[place] = joined(options[place], option)
            elif any(o.arm == option.arm for o in options):
                options.append(replace(option, run=judgement.plan.id))
            else:
                options.append(option)
    rows = [_with_baseline_known(baseline, options), *options]
    losers = dominators([row.criteria for row in rows])
    return Table(
        first.baseline.name,
        tuple(judgement.plan.id for judgement, _ in group),
        tuple(
            replace(
                row,
                dominated_by=tuple(rows[n].label for n in losers[place]),
                dominates=tuple(r.label for n, r in enumerate(rows) if place in losers[n]),
            )
            for place, row in enumerate(rows)
        ),
    )


def _baseline(group: list[Judged], given: _Given) -> Option:
    plan = group[0][0].plan
    name = plan.baseline.name
    risk = next((risks[name] for _, risks in group if name in risks), None)
    by_hours = given.fleet is not None and given.fleet.rollout is not None
    effort = Effort("none", 0.0 if by_hours else None)
    return Option(
        name, "", True, kernel=_kernel(plan, name), risk=risk, effort=effort,
        criteria=exact_criteria(risk, effort, given.fleet),
    )  # fmt: skip


def _with_baseline_known(baseline: Option, options: list[Option]) -> Option:
    """The baseline is exactly 1 in every criterion that is a ratio to it."""
    ratios = {
        name: Span(1.0, 1.0, span.slack)
        for option in options
        for name, span in option.criteria.items()
        if span is not None and name not in baseline.criteria
    }
    return replace(baseline, criteria={**ratios, **baseline.criteria})


def _options(judgement: Judgement, risks: Mapping[str, RiskSummary], given: _Given) -> list[Option]:
    known = evidence(judgement, given.metric)
    priced: dict[str, ArmCost] = {}
    today = joules = 1.0
    if given.fleet is not None:
        result = cost(given.fleet, known, seed=given.seed)
        priced = {arm.arm: arm for arm in result.arms}
        today, joules = result.today.per_year, result.today.joules_per_token.value
    return [
        _option(
            judgement,
            one,
            priced.get(one.arm),
            today=(today, joules),
            risk=risks.get(one.arm),
            given=given,
        )
        for one in known
    ]


def _option(
    judgement: Judgement,
    known: Evidence,
    priced: ArmCost | None,
    *,
    today: tuple[float, float],
    risk: RiskSummary | None,
    given: _Given,
) -> Option:
    plan, arm = judgement.plan, known.arm
    machines = {m.name: _machine(plan, n) for n, p in enumerate(plan.parts) for m in p.metrics}
    effort = effort_of(plan.arm(arm).ref, plan.baseline.ref, arm, risk, given.fleet)
    spans: dict[str, Span | None] = exact_criteria(risk, effort, given.fleet)
    tails = _tails(judgement, arm)
    for one in (known.throughput, known.counted, known.energy, *tails):
        if one is not None and one.ratio.known:
            low, high = one.ratio.low, one.ratio.high
            if one.metric.better is Better.HIGHER:
                low, high = 1 / high, 1 / low
            spans[f"{one.name} on {machines[one.name]}"] = Span(low, high, given.slack)
    outcome = priced.outcome(given.fleet.accounting) if priced and given.fleet else None
    bill = per_year = None
    energy = (known.energy.ratio, "measured") if known.energy else None
    if outcome is not None:
        change = outcome.per_year
        per_year = Ratio(change.value, change.low, change.high)
        bill = Ratio(*(1 + v / today[0] for v in (change.value, change.low, change.high)))
        spans["bill"] = Span(bill.low, bill.high, given.slack)
        if energy is None:
            per_token = outcome.joules_per_token
            ends = (per_token.value, per_token.low, per_token.high)
            energy = (Ratio(*(v / today[1] for v in ends)), "derived")
    return Option(
        arm, "", False, kernel=_kernel(plan, arm),
        gain=known.throughput, counted=known.counted,
        tail=max(tails, key=lambda t: t.ratio.value, default=None),
        bill=bill, per_year=per_year, energy=energy, risk=risk, effort=effort, criteria=spans,
    )  # fmt: skip


def _machine(plan: RunPlan, part: int) -> str:
    """What must be equal for two measurements to be of one thing."""
    one = plan.parts[part]
    return f"{one.machine} {one.emulator_version} {one.guest_sha256}"


def _tails(judgement: Judgement, arm: str) -> list[Measured]:
    def wanted(item: Comparison) -> bool:
        metric = item.metric
        return (
            metric.grade is Grade.TIMED and metric.better is Better.LOWER
            and metric.quantity.endswith(TAIL)
        )  # fmt: skip

    found = [f.comparison for f in judgement.findings.get(arm, ()) if wanted(f.comparison)]
    return [Measured(c.metric, Ratio(c.ratio, *c.interval, c.confidence)) for c in found]
