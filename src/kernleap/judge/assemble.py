"""Judging a run: findings, confounders, noise floor and a verdict for every candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

from kernleap.judge.arms import ArmData, collect
from kernleap.judge.attribution import attribute
from kernleap.judge.confounders import confounders
from kernleap.judge.constraints import check
from kernleap.judge.findings import find
from kernleap.judge.judgement import Judgement, NoiseFloor
from kernleap.judge.noise import noise_floor
from kernleap.judge.policy import Policy
from kernleap.judge.timed_noise import noise_warnings
from kernleap.judge.verdict import decide, shortfall
from kernleap.model.evidence import CandidateEvidence
from kernleap.model.result import Confounder, Finding, Verdict
from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus


def judge(
    run: RunData,
    policy: Policy,
    evidence: Mapping[str, CandidateEvidence] | None = None,
    today: date | None = None,
) -> Judgement:
    """Judge a run. Pure: the same arguments give the same judgement.

    Args:
        run: the run.
        policy: the policy.
        evidence: by arm, what is known besides the metrics; an arm left out is not known at all.
        today: the day from which on support is counted; without one the day of the run.

    Only `ok` trials count. Where an arm has fewer of them in a part of the run than both the
    policy's `min_boots` and the plan ask for, that part gives no findings, and the arm's
    verdict has the reason `infrastructure`.
    """
    known = evidence or {}
    day = today or datetime.fromisoformat(run.plan.created).date()
    arms = collect(run)
    baseline = run.plan.baseline.name
    findings: dict[str, tuple[Finding, ...]] = {}
    verdicts: dict[str, Verdict] = {}
    differences: dict[str, tuple[Confounder, ...]] = {}
    noise: NoiseFloor | None = None
    for arm in run.plan.arms:
        if arm.role == "baseline":
            continue
        lacks = [_lack(run, n, (baseline, arm.name), policy) for n in range(len(run.plan.parts))]
        metrics = [
            metric
            for part, lack in zip(run.plan.parts, lacks, strict=True)
            if not lack
            for metric in part.metrics
        ]
        found = find(metrics, arms[baseline], arms[arm.name], policy)
        lack = "; ".join(filter(None, lacks))
        if arm.role == "aa":
            if found and noise is None:
                noise = noise_floor(arm.name, found)
            continue
        findings[arm.name] = found
        if arm.role == "reference":
            continue
        differences[arm.name] = confounders(run, arm.name)
        verdicts[arm.name] = (
            shortfall(arm.name, policy, lack)
            if lack
            else decide(
                arm.name,
                found,
                policy,
                _planned(run, baseline, arm.name),
                check(policy.constraints, known.get(arm.name, CandidateEvidence()), day),
                word=run.plan.trial_word,
            )
        )
    for name, verdict in verdicts.items():
        if attributed := attribute(run.plan, name, arms=arms, findings=findings, policy=policy):
            findings[name] = attributed.annotate(findings[name])
            verdicts[name] = replace(verdict, reasons=(*verdict.reasons, attributed.reason))
    return Judgement(
        plan=run.plan,
        findings=findings,
        verdicts=verdicts,
        confounders=differences,
        noise=noise,
        failures=tuple(
            (record.trial.id, record.status.value, record.reason)
            for record in run.records
            if record.status is not TrialStatus.OK
        ),
        warnings=_warnings(run, arms, noise),
    )


def _planned(run: RunData, *arms: str) -> int:
    """Boots planned for the arm and the part that have the fewest."""
    return min(
        sum(trial.arm == arm for trial in run.plan.trials_of(part))
        for part in range(len(run.plan.parts))
        for arm in arms
    )


def _lack(run: RunData, part: int, names: tuple[str, ...], policy: Policy) -> str:
    """What is missing for the numbers of a part, or an empty string."""
    short = []
    which = f" of {run.plan.parts[part].label}" if len(run.plan.parts) > 1 else ""
    for name in names:
        planned = sum(trial.arm == name for trial in run.plan.trials_of(part))
        good = sum(
            record.status is TrialStatus.OK
            and record.trial.arm == name
            and record.trial.part == part
            for record in run.records
        )
        if good < max(1, min(planned, policy.min_boots)):
            short.append(
                f"arm {name}: {good} of {planned} {run.plan.trial_word}s{which} ended well"
            )
    if not short:
        return ""
    return f"{'; '.join(short)} (the policy asks for {policy.min_boots})"


def _warnings(run: RunData, arms: dict[str, ArmData], noise: NoiseFloor | None) -> tuple[str, ...]:
    found = []
    for arm in run.plan.arms:
        planned = sum(trial.arm == arm.name for trial in run.plan.trials)
        good = len(arms[arm.name].boots)
        if good < planned:
            lost = f"{planned - good} of {planned} {run.plan.trial_word}s"
            found.append(f"arm {arm.name}: {lost} are missing")
    found += _missing_metrics(run, arms)
    if noise and noise.false_calls:
        found.append(
            "the baseline against itself shows a change in "
            f"{', '.join(noise.false_calls[:5])}: this run's numbers are not to be trusted"
        )
    found += noise_warnings(run)
    for record in run.records:
        found += [f"trial {record.trial.id}: {text}" for text in record.warnings]
    return tuple(dict.fromkeys(found))


def _missing_metrics(run: RunData, arms: dict[str, ArmData]) -> list[str]:
    found = []
    for name, arm in arms.items():
        if not arm.boots:
            continue
        regions = {
            metric.region: any(metric.name in b.samples for b in arm.boots)
            for metric in run.plan.metrics
            if metric.quantity == "kernel_instructions"
        }
        absent = [region for region, measured in regions.items() if not measured]
        if absent:
            found.append(f"arm {name}: not measured: {', '.join(absent)}")
    return found
