"""Imported files as a run: trials, blocks, confounders, findings and verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from imported_files import GUIDELLM, changed, slower
from kernleap.imported.files import read_results
from kernleap.imported.run import ImportedArm, make_run
from kernleap.judge import judge
from kernleap.judge.policy import load
from kernleap.model.errors import UsageError
from kernleap.model.metric import Grade, Role
from kernleap.model.result import Decision, VerdictDecision
from kernleap.model.run import RunData
from kernleap.report import html, terminal
from kernleap.report.view import view

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOISE = (1.0, 1.004, 0.997, 1.002, 0.999)


def run_of(*arms, labels=("7.0", "7.2", "7.3")):
    given = [
        ImportedArm(label, read_results(paths)) for label, paths in zip(labels, arms, strict=False)
    ]
    plan, records = make_run(given, created=NOW, command=("kernleap", "import"), version="0")
    return RunData(plan, records)


@pytest.fixture
def files(tmp_path):
    """Arms made of one real file: by factor, and when each of their trials began."""

    def make(name, factor, starts, change=lambda data: None):
        def apply(n, start):
            def both(data):
                slower(factor * NOISE[n], start)(data)
                change(data)

            return both

        return [
            changed(tmp_path, "guidellm-0.8.1-1.json", f"{name}-{n}.json", apply(n, start))
            for n, start in enumerate(starts)
        ]

    return make


def finding(judgement, quantity, arm="7.2"):
    (found,) = [
        f for f in judgement.findings[arm] if f.comparison.metric.name.endswith(f"/{quantity}")
    ]
    return found


def test_files_taken_in_turns_are_pairs(files):
    run = run_of(files("a", 1, [0, 20, 40]), files("b", 1, [30, 10, 50]))
    assert [(t.arm, t.block) for t in run.plan.trials] == [
        ("7.0", 0), ("7.2", 0), ("7.0", 1), ("7.2", 1), ("7.0", 2), ("7.2", 2),
    ]  # fmt: skip
    found = finding(judge(run, load()), "ttft_p50")
    assert "unpaired" not in found.comparison.quality
    # Each record is the file that its trial stands for, wherever it was in the command.
    second = next(r for r in run.records if r.trial.arm == "7.2" and r.trial.block == 0)
    assert second.facts["file"].endswith("b-1.json")


def test_arms_measured_one_after_the_other_are_groups_and_say_so(files):
    run = run_of(files("a", 1, [0, 10, 20]), files("b", 1, [30, 40, 50]))
    assert len({t.block for t in run.plan.trials}) == 6
    judgement = judge(run, load())
    assert "unpaired" in finding(judgement, "ttft_p50").comparison.quality
    (order,) = [c for c in judgement.confounders["7.2"] if c.name == "order of trials"]
    assert (order.baseline, order.candidate) == ("all of them first", "all of them last")


def test_files_that_do_not_tell_their_time_are_paired_as_given():
    results = [replace(r, started=None) for r in read_results(GUIDELLM)]
    arms = [ImportedArm("a", tuple(results[:2])), ImportedArm("b", tuple(results[2:]))]
    plan, _ = make_run(arms, created=NOW, command=(), version="0")
    assert [(t.arm, t.block) for t in plan.trials] == [("a", 0), ("b", 0), ("a", 1)]


def test_a_slower_candidate_is_rejected_and_a_faster_one_adopted(files):
    base = files("a", 1, [0, 20, 40, 60, 80])
    judgement = judge(
        run_of(base, files("b", 1.2, [5, 25, 45, 65, 85]), files("c", 0.8, [9, 29, 49, 69, 89])),
        load(),
    )
    worse, better = finding(judgement, "ttft_p99"), finding(judgement, "ttft_p99", "7.3")
    assert (worse.decision, better.decision) == (Decision.WORSE, Decision.BETTER)
    assert worse.comparison.ratio == pytest.approx(1.2, rel=0.02)
    assert finding(judgement, "tokens_per_second", "7.3").decision is Decision.BETTER
    assert judgement.verdicts["7.2"].decision is VerdictDecision.REJECT
    assert judgement.verdicts["7.3"].decision is VerdictDecision.ADOPT
    assert judgement.verdicts["7.3"].grades == ("timed",)


def test_the_same_kernel_twice_is_no_gain(files):
    run = run_of(files("a", 1, [0, 20, 40, 60, 80]), files("b", 1.0001, [5, 25, 45, 65, 85]))
    judgement = judge(run, load())
    calls = {f.decision for f in judgement.findings["7.2"]}
    assert not calls & {Decision.BETTER, Decision.WORSE, Decision.BEHAVIOUR_CHANGED}
    assert judgement.verdicts["7.2"].decision is VerdictDecision.HOLD


def test_one_file_an_arm_is_undecided_and_says_why(files):
    judgement = judge(run_of(files("a", 1, [0]), files("b", 2, [10])), load())
    verdict = judgement.verdicts["7.2"]
    assert verdict.decision is VerdictDecision.UNDECIDED
    assert verdict.reasons[0].text == "1 file per arm, and the policy asks for 3"
    found = finding(judgement, "ttft_p50")
    assert found.decision is Decision.UNDECIDED
    assert "says nothing of its scatter" in found.reason


def test_one_file_against_many_leaves_its_scatter_unknown(files):
    judgement = judge(run_of(files("a", 1, [0, 5, 10, 15]), files("b", 2, [20])), load())
    assert finding(judgement, "ttft_p50").decision is Decision.UNDECIDED


def test_unlike_settings_are_confounders(files):
    def more_streams(data):
        data["benchmarks"][0]["config"]["strategy"]["streams"] = 8
        data["benchmarks"][0]["config"]["backend"]["model"] = "other"
        data["benchmarks"][0]["metrics"]["output_token_count"]["successful"]["mean"] = 48.0

    run = run_of(files("a", 1, [0, 20, 40]), files("b", 1, [10, 30, 50], more_streams))
    judgement = judge(run, load())
    found = {c.name: (c.baseline, c.candidate) for c in judgement.confounders["7.2"]}
    assert found == {
        "streams": ("4", "8"),
        "model": ("nullmodel", "other"),
        "mean output tokens": ("32", "48"),
    }
    assert finding(judgement, "output_tokens").decision is Decision.BEHAVIOUR_CHANGED


def test_equal_settings_are_none(files):
    run = run_of(files("a", 1, [0, 20, 40]), files("b", 1.3, [10, 30, 50]))
    assert judge(run, load()).confounders["7.2"] == ()


def test_a_run_is_a_function_of_its_files(files):
    arms = files("a", 1, [0, 20, 40]), files("b", 1, [10, 30, 50])
    first, again = run_of(*arms), run_of(*arms)
    assert first.plan == again.plan
    assert [r.facts for r in first.records] == [r.facts for r in again.records]


def test_metrics_are_timed_and_carry_the_definition_of_the_tool(files):
    run = run_of(files("a", 1, [0]), files("b", 1, [10]))
    assert {m.grade for m in run.plan.metrics} == {Grade.TIMED}
    metrics = {m.quantity: m for m in run.plan.metrics}
    assert "guidellm: inter_token_latency_ms; a mean over each request" in (
        metrics["tpot_p50"].description
    )
    assert metrics["prompt_tokens"].role is Role.BEHAVIOUR
    assert metrics["error_ratio"].unit == "ratio"
    assert {m.name for m in run.plan.metrics} == {s.metric for r in run.records for s in r.samples}


def test_provenance_is_kept(files):
    run = run_of(files("a", 1, [0]), files("b", 1, [10]))
    facts = run.records[0].facts
    assert (facts["tool"], facts["tool_version"]) == ("guidellm", "0.8.1")
    assert len(facts["file_sha256"]) == 64
    assert facts["file_bytes"] > 1000
    assert run.plan.parts[0].machine.kind == "imported"


def test_reports_speak_of_files(files):
    from rich.console import Console

    run = run_of(files("a", 1, [0, 20, 40]), files("b", 1.2, [10, 30, 50]))
    page = view(judge(run, load()), run)
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    terminal.render(page, console, everything=True)
    text = console.export_text()
    assert "3 files per arm" in text
    assert "guidellm/ttft_p99" in text
    assert "kernleap report" in text
    assert "boot" not in text
    assert "not seen by kernleap" in html.render(page)


@pytest.mark.parametrize(
    ("arms", "complaint"),
    [
        ([GUIDELLM[:2], GUIDELLM[1:]], "given twice"),
        ([[GUIDELLM[0]], [GUIDELLM[0].with_name("aiperf-0.13.0.json")]], "several tools"),
        ([[GUIDELLM[0]], [GUIDELLM[0].with_name("guidellm-0.5.3-two-rates.json")]], "numbers of"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(arms, complaint):
    with pytest.raises(UsageError, match=complaint):
        run_of(*arms)


def test_two_arms_of_one_name_are_refused():
    with pytest.raises(UsageError, match="label"):
        run_of(GUIDELLM[:1], GUIDELLM[1:2], labels=("same", "same"))
