"""From a judgement to what a report shows: order, grouping, wording, all decided here once.

The renderers (terminal, html, json) only lay out what they find in the view, so that a reader
meets the same numbers, in the same words, wherever they look.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.result import ArmValues, Confounder, Decision, Finding, VerdictDecision
from kernleap.model.run import RunData, RunPlan
from kernleap.model.trial import Arm, TrialRecord, TrialStatus
from kernleap.report import text
from kernleap.report.architectures import panels
from kernleap.report.beyond import Beyond
from kernleap.report.chain import links
from kernleap.report.explain import explanation, recurring, responsible
from kernleap.report.families import FORMS, family_of
from kernleap.report.guest_time import caution
from kernleap.report.methods import methods, noise_view, provenance
from kernleap.report.parts import (
    ArmView,
    CandidateView,
    ConfounderView,
    EventRow,
    FailureView,
    FamilyView,
    FindingView,
    MetricView,
    PointsView,
    ReasonView,
    ReportView,
    Tally,
)
from kernleap.report.placement import placements
from kernleap.report.tails import tails

if TYPE_CHECKING:
    from kernleap.judge import Judgement

WORDS: dict[Decision, str] = {
    Decision.BETTER: "better",
    Decision.WORSE: "worse",
    Decision.EQUIVALENT: "equivalent",
    Decision.UNDECIDED: "undecided",
    Decision.BEHAVIOUR_CHANGED: "behaviour changed",
}
_BETTER_WORDS = {
    Better.LOWER: "lower is better",
    Better.HIGHER: "higher is better",
    Better.NEITHER: "neither way is better",
}
_LEADING_QUANTITY = "kernel_instructions"
_MOVERS = 12


def view(judgement: Judgement, run: RunData, more: Beyond | None = None) -> ReportView:
    """The report of a judged run, and what is known beyond it. Pure: no clock, file or terminal."""
    plan, more = run.plan, more or Beyond()
    arms = tuple(_arm(arm, run) for arm in plan.arms)
    by_name = {arm.name: arm for arm in arms}
    metrics = _metrics(judgement, plan, by_name)
    leading = {m.name for m in _leading(metrics)}
    primary = tuple(m for m in metrics if m.name in leading)
    behaviour = tuple(m for m in metrics if _is_behaviour(m.metric))
    rest = tuple(m for m in metrics if m.name not in leading and not _is_behaviour(m.metric))
    candidates = tuple(
        _candidate(judgement, by_name[arm.name], primary, metrics, more)
        for arm in plan.arms
        if arm.role == "candidate"
    )
    baseline = by_name[plan.baseline.name]
    names = text.listing([c.arm.label for c in candidates])
    boots = _boots_text(run)
    again, what_again = _again(run)
    return ReportView(
        run=run,
        run_id=text.clean(plan.id),
        created=text.clean(plan.created),
        title=f"{names} against {baseline.label}" if names else baseline.label,
        subtitle=_subtitle(plan, boots),
        baseline=baseline,
        candidates=candidates,
        arms=arms,
        grades=tuple(dict.fromkeys(str(m.metric.grade) for m in metrics)),
        primary=_families(primary),
        secondary=rest,
        behaviour=behaviour,
        architectures=panels(primary, (c.arm for c in candidates)),
        placement=placements(run),
        noise=noise_view(judgement.noise),
        failures=_failures(judgement, run, by_name),
        warnings=tuple(text.clean(w, 400) for w in judgement.warnings),
        methods=methods(plan, metrics),
        provenance=provenance(plan),
        boots_text=boots,
        reproduce=again,
        reproduce_text=what_again,
        beyond=more,
        command=text.clean(shlex.join(plan.command), 1000),
    )


_AGAIN = {
    "boot": "boots the same kernels, by digest, and compares every count with this run",
    "file": "judges the same files again",
    "trial": "measures again: times differ from run to run, the verdict should not",
    "runs": "judges the same runs again; those counted in the lab also boot again, by "
    "kernleap reproduce and their own id",
}


def _again(run: RunData) -> tuple[str, str]:
    """The command that comes to the same verdict again, or to the same counts; what it does."""
    word = run.plan.trial_word
    runs = tuple(shlex.quote(one) for one in run.extra.get("runs", (run.plan.id,)))
    if word not in ("boot", "file"):
        if len(runs) > 1:
            return f"kernleap report {' '.join(runs)}", _AGAIN["runs"]
        return shlex.join(run.plan.command), _AGAIN["trial"]
    verb = "report" if word == "file" else "reproduce"
    return " && ".join(f"kernleap {verb} {one}" for one in runs), _AGAIN[word]


def _arm(arm: Arm, run: RunData) -> ArmView:
    ended = Counter(r.status is TrialStatus.OK for r in run.records if r.trial.arm == arm.name)
    own = [i for i in run.plan.inputs if i.arm == arm.name]
    inputs = own[0] if own else None
    return ArmView(
        name=arm.name,
        reference=str(arm.ref),
        label=text.clean(arm.name, 120),
        role=arm.role,
        release=text.clean(", ".join(dict.fromkeys(i.release for i in own))),
        kernel_sha256=text.clean(inputs.kernel_sha256) if inputs else "",
        kconfig_sha256=text.clean(inputs.kconfig_sha256) if inputs else "",
        provenance=tuple(
            (text.clean(key, 40), text.clean(str(value)))
            for key, value in (inputs.provenance if inputs else {}).items()
            if value
        ),
        boots=ended[True],
        failed=ended[False],
    )


def _subtitle(plan: RunPlan, boots: str) -> str:
    suites = [text.clean(suite, 60) for suite in plan.suites]
    return (
        f"{text.plural(len(plan.workloads), 'region')} of the "
        f"{'suite' if len(suites) == 1 else 'suites'} {text.listing(suites)}, "
        f"{boots}{'' if plan.trial_word == 'file' else f', seed {plan.seed}'}"
    )


def _boots_text(run: RunData) -> str:
    """Good boots per arm, of each part where there are several: `5 (micro), 3 to 4 (serving)`."""
    good = Counter((r.trial.part, r.trial.arm) for r in run.records if r.status is TrialStatus.OK)
    told = []
    word = run.plan.trial_word
    for number, part in enumerate(run.plan.parts):
        counts = [good[number, arm.name] for arm in run.plan.arms]
        least, most = min(counts), max(counts)
        shown = str(least) if least == most else f"{least} to {most}"
        told.append((shown, text.clean(part.label, 60)))
    if len(told) == 1:
        return f"{told[0][0]} {word if told[0][0] == '1' else f'{word}s'} per arm"
    return f"{word}s per arm: {', '.join(f'{shown} ({suite})' for shown, suite in told)}"


def _is_behaviour(metric: Metric) -> bool:
    return metric.role is Role.BEHAVIOUR or metric.better is Better.NEITHER


def _metrics(
    judgement: Judgement, plan: RunPlan, arms: dict[str, ArmView]
) -> tuple[MetricView, ...]:
    """Metrics in plan order, each with the findings of all candidates in arm order."""
    found: dict[str, dict[str, Finding]] = {}
    for arm in plan.arms:
        for finding in judgement.findings.get(arm.name, ()):
            found.setdefault(finding.comparison.metric.name, {})[arm.name] = finding
    order = {metric.name: place for place, metric in enumerate(plan.metrics)}
    names = sorted(found, key=lambda name: (order.get(name, len(order)), name))
    return tuple(_metric(found[name], arms) for name in names)


def _metric(found: dict[str, Finding], arms: dict[str, ArmView]) -> MetricView:
    first = next(iter(found.values()))
    metric = first.comparison.metric
    candidates = {name: f for name, f in found.items() if arms[name].role == "candidate"}
    baseline = next(arm for arm in arms.values() if arm.role == "baseline")
    points = [_points(first.comparison.baseline, baseline)]
    points += [_points(f.comparison.candidate, arms[name]) for name, f in found.items()]
    form = text.clean(metric.form, 40)
    return MetricView(
        metric=metric,
        name=text.clean(metric.name),
        label=text.clean(metric.region if metric.form else metric.workload, 80),
        workload=text.clean(metric.workload, 80),
        form=form,
        form_words=FORMS.get(form, form),
        quantity=text.clean(metric.quantity, 80),
        unit=text.clean(metric.unit, 60),
        grade=str(metric.grade),
        better_words=_BETTER_WORDS[metric.better],
        description=text.clean(metric.description, 400),
        findings=tuple(_finding(f, arms[name]) for name, f in candidates.items()),
        points=tuple(points),
        caution=caution(metric),
    )


def _points(values: ArmValues, arm: ArmView) -> PointsView:
    finite = math.isfinite(values.median)
    return PointsView(
        arm=arm.name,
        label=arm.label,
        role=arm.role,
        values=tuple(v for v in values.values if math.isfinite(v)),
        median=values.median if finite else None,
        median_text=text.number(values.median),
        spread_text=text.percent(1.0 + values.spread).lstrip("+"),
        modes=len(values.modes),
    )


def _finding(finding: Finding, arm: ArmView) -> FindingView:
    comparison = finding.comparison
    low, high = comparison.interval
    why = explanation(finding)
    change = comparison.candidate.median - comparison.baseline.median
    more = finding.more_boots
    word = "trial" if comparison.metric.grade is Grade.TIMED else "boot"
    undecided = finding.decision is Decision.UNDECIDED
    return FindingView(
        finding=finding,
        arm=arm.name,
        arm_label=arm.label,
        decision=finding.decision,
        word=WORDS[finding.decision],
        reason=text.clean(finding.reason, 400),
        baseline_text=text.number(comparison.baseline.median),
        candidate_text=text.number(comparison.candidate.median),
        change_text=text.percent(comparison.ratio),
        ratio_text=text.ratio(comparison.ratio),
        interval_text=text.interval(low, high),
        ratio=_finite(comparison.ratio),
        low=_finite(low),
        high=_finite(high),
        margin=comparison.margin if math.isfinite(comparison.margin) else 0.0,
        confidence_text=f"{comparison.confidence * 100:g} %",
        next_step=f"about {text.plural(more, f'more {word}')} per arm would decide it"
        if undecided and more
        else "",
        remarks=tuple(text.clean(q, 120) for q in comparison.quality),
        responsible=responsible(why, change, 3),
        explanation=why,
        events=tuple(
            EventRow(text.clean(name, 40), text.number(b), text.number(c), b != c)
            for name, b, c in finding.events
        ),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _leading(metrics: tuple[MetricView, ...]) -> list[MetricView]:
    """The metrics that carry the report: of each region the kernel path, else all it has."""
    judged = [m for m in metrics if not _is_behaviour(m.metric)]
    with_path = {m.label for m in judged if m.quantity.startswith(_LEADING_QUANTITY)}
    return [
        m for m in judged if m.quantity.startswith(_LEADING_QUANTITY) or m.label not in with_path
    ]


def _families(metrics: tuple[MetricView, ...]) -> tuple[FamilyView, ...]:
    families: dict[str, list[MetricView]] = {}
    for metric in metrics:
        families.setdefault(family_of(metric.workload), []).append(metric)
    return tuple(
        FamilyView(title, tuple(_by_workload(members))) for title, members in families.items()
    )


def _by_workload(metrics: list[MetricView]) -> list[MetricView]:
    first: dict[str, int] = {}
    for place, metric in enumerate(metrics):
        first.setdefault(metric.workload, place)
    return sorted(metrics, key=lambda m: first[m.workload])


def _candidate(
    judgement: Judgement,
    arm: ArmView,
    primary: tuple[MetricView, ...],
    metrics: tuple[MetricView, ...],
    more: Beyond,
) -> CandidateView:
    verdict = judgement.verdicts.get(arm.name)
    pairs = [(m, f) for m in primary for f in m.findings if f.arm == arm.name]
    counts = Counter(f.decision for _, f in pairs)
    tallies = tuple(Tally(d, WORDS[d], counts[d]) for d in Decision)
    moved = [(m, f) for m, f in pairs if f.decision in (Decision.BETTER, Decision.WORSE)]
    moved.sort(key=lambda pair: (-pair[1].log_size, pair[0].name))
    decision = verdict.decision if verdict else VerdictDecision.UNDECIDED
    return CandidateView(
        arm=arm,
        decision=decision,
        word=str(decision),
        sentence=_sentence(tallies),
        policy=text.clean(verdict.policy) if verdict else "",
        grades=verdict.grades if verdict else (),
        reasons=tuple(
            ReasonView(
                rule=text.clean(r.rule, 120),
                text=text.clean(r.text, 600),
                metrics=tuple(map(text.clean, r.metrics)),
                decision=r.decision,
                evidence=tuple(text.clean(e, 300) for e in r.evidence),
            )
            for r in (verdict.reasons if verdict else ())
        ),
        tallies=tallies,
        movers=tuple(moved[:_MOVERS]),
        # Instructions of two architectures have no median in common.
        recurring=recurring(
            (f.finding, f.explanation) for m, f in moved if m.metric.arch is primary[0].metric.arch
        ),
        confounders=tuple(_confounder(c) for c in judgement.confounders.get(arm.name, ())),
        chain=(*links(metrics, arm.name), more.link(arm.name)),
        tails=tails(metrics, arm.name),
    )


def _sentence(tallies: tuple[Tally, ...]) -> str:
    total = sum(t.count for t in tallies)
    if not total:
        return "No primary metric could be judged."
    told = [f"{t.count} {t.word}" for t in tallies if t.count]
    return f"Of {text.plural(total, 'primary metric')}: {text.listing(told)}."


def _confounder(item: Confounder) -> ConfounderView:
    return ConfounderView(
        kind=text.clean(item.kind, 60),
        name=text.clean(item.name, 120),
        baseline=text.clean(item.baseline, 160),
        candidate=text.clean(item.candidate, 160),
        why=text.clean(item.why_it_matters, 400),
    )


def _failures(
    judgement: Judgement, run: RunData, arms: dict[str, ArmView]
) -> tuple[FailureView, ...]:
    records = {r.trial.id: r for r in run.records}
    rows = []
    for trial_id, status, reason in judgement.failures:
        record = records.get(trial_id)
        rows.append(
            FailureView(
                trial=text.clean(trial_id),
                arm=arms[record.trial.arm].label if record else "",
                status=text.clean(str(status), 40),
                reason=text.clean(reason, 400),
                console=_console(record),
                attempt=record.attempt if record else 0,
            )
        )
    return tuple(rows)


def _console(record: TrialRecord | None) -> str:
    """The console tail, or whatever artifact there is when it goes by another name."""
    if record is None or not record.artifacts:
        return ""
    name = next((n for n in record.artifacts if "console" in n), next(iter(record.artifacts)))
    return text.clean_block(record.artifacts[name])
