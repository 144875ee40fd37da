"""Constraints: met, broken, unknown, and what each does to a verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kernleap.cli import kernleap
from kernleap.judge.constraints import State, check
from kernleap.judge.policy import default_text, load
from kernleap.judge.policy_constraints import Constraints
from kernleap.judge.verdict import decide
from kernleap.model.errors import UsageError
from kernleap.model.evidence import CandidateEvidence
from kernleap.model.result import Decision, VerdictDecision
from kernleap.report.view import view
from report_data import make

TODAY = date(2026, 11, 23)
UNKNOWN = CandidateEvidence()


@pytest.mark.parametrize(
    ("asked", "known", "state"),
    [
        ({"supported_days": 30}, {"supported_until": "2026-12-23"}, State.MET),
        ({"supported_days": 31}, {"supported_until": "2026-12-23"}, State.BROKEN),
        ({"supported_days": 0}, {"supported_until": "2026-11-22"}, State.BROKEN),
        ({"supported_days": 38}, {"supported_until": "2027-01"}, State.MET),
        ({"supported_days": 40}, {"supported_until": "2027-01"}, State.BROKEN),
        ({"longterm": True}, {"longterm": True}, State.MET),
        ({"longterm": True}, {"longterm": False}, State.BROKEN),
        ({"max_extra_patches": 0}, {"extra_patches": 0}, State.MET),
        ({"max_extra_patches": 0}, {"extra_patches": 1}, State.BROKEN),
        ({"max_open_cves": 5}, {"open_cves": 5}, State.MET),
        ({"max_open_cves": 5}, {"open_cves": 6}, State.BROKEN),
        ({"max_risk": "moderate"}, {"risk": "moderate"}, State.MET),
        ({"max_risk": "moderate"}, {"risk": "high"}, State.BROKEN),
        ({"max_risk": "moderate"}, {"risk": "unknown"}, State.UNKNOWN),
        ({"image_signed": True}, {"image_signed": False}, State.BROKEN),
        ({"signed_packages": True}, {"packages_signed": True}, State.MET),
        ({"offline": True}, {"fetched": False}, State.MET),
        ({"offline": True}, {"fetched": True}, State.BROKEN),
        ({"pays_back_days": 90}, {"pays_back_days": (20.0, 40.0, 90.0)}, State.MET),
        ({"pays_back_days": 90}, {"pays_back_days": (20.0, 40.0, 91.0)}, State.UNKNOWN),
        ({"pays_back_days": 90}, {"pays_back_days": (91.0, 99.0, float("inf"))}, State.BROKEN),
    ],
)
def test_a_constraint_is_held_against_what_is_known(
    asked: dict[str, Any], known: dict[str, Any], state: State
) -> None:
    wanted = Constraints(**asked)
    (outcome,) = check(wanted, CandidateEvidence(**known), TODAY)
    assert outcome.state is state
    (unknown,) = check(wanted, UNKNOWN, TODAY)
    assert unknown.state is State.UNKNOWN, "the absence of data is never the absence of a problem"


def test_a_broken_constraint_rejects_whatever_was_gained(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[lifecycle]\nmax_extra_patches = 0\n[guard]\nmetrics = []\n")
    policy = load(file)
    findings = gaining()
    known = CandidateEvidence(extra_patches=3, sources={"extra_patches": "series file, today"})
    gained = decide("x", findings, policy, 5)
    assert gained.decision is VerdictDecision.ADOPT
    verdict = decide("x", findings, policy, 5, check(policy.constraints, known, TODAY))
    assert verdict.decision is VerdictDecision.REJECT
    reason = verdict.reasons[0]
    assert (reason.rule, reason.evidence) == (
        "lifecycle.max_extra_patches",
        ("series file, today",),
    )
    assert "3 patches" in reason.text


@pytest.mark.parametrize("word", ["undecided", "hold", "reject", "ignore"])
def test_an_unknown_constraint_does_what_the_policy_says(tmp_path: Path, word: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        f'on_unknown = "{word}"\n[lifecycle]\nmax_open_cves = 0\n[guard]\nmetrics = []\n'
    )
    policy = load(file)
    outcomes = check(policy.constraints, UNKNOWN, TODAY)
    expected = VerdictDecision.ADOPT if word == "ignore" else VerdictDecision(word)
    assert decide("x", gaining(), policy, 5, outcomes).decision is expected


def test_a_doubt_does_not_make_a_hold_uncertain(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[lifecycle]\nmax_open_cves = 0\n[guard]\nmetrics = []\n")
    policy = load(file)
    calm = tuple(
        replace(f, decision=Decision.EQUIVALENT, comparison=replace(f.comparison, interval=(1, 1)))
        for f in gaining()
    )
    verdict = decide("x", calm, policy, 5, check(policy.constraints, UNKNOWN, TODAY))
    assert verdict.decision is VerdictDecision.HOLD
    assert [r.rule for r in verdict.reasons] == ["no-gain", "lifecycle.max_open_cves"]


def test_money_that_does_not_come_back_holds_and_never_rejects(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[cost]\npays_back_days = 30\n[guard]\nmetrics = []\n")
    policy = load(file)
    late = CandidateEvidence(pays_back_days=(40.0, 60.0, float("inf")))
    verdict = decide("x", gaining(), policy, 5, check(policy.constraints, late, TODAY))
    assert verdict.decision is VerdictDecision.HOLD
    assert "60 days (40 days to never)" in verdict.reasons[0].text


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[lifecycle]\nsupported_days = -1\n", "lifecycle.supported_days", 2),
        ('[lifecycle]\nmax_risk = "none"\n', "lifecycle.max_risk", 2),
        ("[lifecycle]\nlongtern = true\n", "lifecycle.longtern", 2),
        ('[cost]\npays_back_days = "soon"\n', "cost.pays_back_days", 2),
        ("[sovereignty]\noffline = 1\n", "sovereignty.offline", 2),
        ('name = "x"\non_unknown = "adopt"\n', "on_unknown", 2),
    ],
)
def test_a_mistake_names_its_key_and_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(file)
    assert f"line {line}" in str(caught.value)
    assert key in str(caught.value)
    assert caught.value.next_step


def test_the_command_checks_and_explains(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    shown = CliRunner().invoke(kernleap, ["policy", "show"])
    assert shown.output == default_text()
    file.write_text(shown.output.replace("# supported_days", "supported_days"))
    told = CliRunner().invoke(kernleap, ["policy", "check", str(file)])
    assert told.exit_code == 0
    assert "supported for less than 180 days" in told.output


def gaining() -> tuple[object, ...]:
    """Findings of a run of which one primary path is 5 % shorter, and nothing else moved."""
    judgement, run = make(candidates=("7.2",))
    rows = [
        f
        for f in judgement.findings[view(judgement, run).candidates[0].arm.name]
        if f.comparison.metric.name.endswith("/1p/kernel_instructions")
    ]
    first = rows[0]
    better = replace(
        first,
        decision=Decision.BETTER,
        comparison=replace(first.comparison, ratio=0.95, interval=(0.949, 0.951)),
    )
    return (better,)
