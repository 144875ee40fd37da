"""Judging a run: findings, confounders, noise floor and a verdict for every candidate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from kernleap.judge.arms import ArmData, collect
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

    Only `ok` trials count. An arm with fewer of them than both the policy's `min_boots` and
    its own plan ask for gets no findings, and a verdict whose reason is `infrastructure`.
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
        lack = _lack(run, arms, (baseline, arm.name), policy)
        found = () if lack else find(run.plan.metrics, arms[baseline], arms[arm.name], policy)
        if arm.role == "aa":
            if found and noise is None:
                noise = noise_floor(arm.name, found)
            continue
        findings[arm.name] = found
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
            )
        )
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
    return min(sum(trial.arm == arm for trial in run.plan.trials) for arm in arms)


def _lack(run: RunData, arms: dict[str, ArmData], names: tuple[str, ...], policy: Policy) -> str:
    """What is missing for numbers, or an empty string."""
    short = []
    for name in names:
        planned, good = _planned(run, name), len(arms[name].boots)
        if good < max(1, min(planned, policy.min_boots)):
            short.append(f"arm {name}: {good} of {planned} boots ended well")
    if not short:
        return ""
    return f"{'; '.join(short)} (the policy asks for {policy.min_boots})"


def _warnings(run: RunData, arms: dict[str, ArmData], noise: NoiseFloor | None) -> tuple[str, ...]:
    found = []
    for arm in run.plan.arms:
        planned, good = _planned(run, arm.name), len(arms[arm.name].boots)
        if good < planned:
            found.append(f"arm {arm.name}: {planned - good} of {planned} boots are missing")
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
            f"{metric.workload}/{metric.form}": any(metric.name in b.samples for b in arm.boots)
            for metric in run.plan.metrics
            if metric.quantity == "kernel_instructions"
        }
        absent = [region for region, measured in regions.items() if not measured]
        if absent:
            found.append(f"arm {name}: not measured: {', '.join(absent)}")
    return found
