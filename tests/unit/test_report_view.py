"""The view: what is shown, in which order, and that explanations add up."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.judge import Judgement
from kernleap.judge.policy import Policy
from kernleap.model.result import Decision, Finding, FunctionDelta
from kernleap.model.run import RunData
from kernleap.report.bars import bar_rows
from kernleap.report.explain import Explanation, explanation, recurring, responsible
from kernleap.report.families import family_of
from kernleap.report.parts import FindingView
from kernleap.report.scale import scale_of
from kernleap.report.view import view
from report_data import make

Made = tuple[Judgement, RunData]


@pytest.fixture(scope="module")
def made() -> Made:
    return make(candidates=("7.1", "7.2"))


def first_finding(made: Made) -> Finding:
    return next(f for f in made[0].findings["debian:7.2"] if f.functions)


def test_every_finding_is_shown_once(made: Made) -> None:
    page = view(*made)
    shown = [(f.finding.comparison.metric.name, f.arm) for m in page.metrics for f in m.findings]
    found = [(f.comparison.metric.name, arm) for arm, fs in made[0].findings.items() for f in fs]
    assert sorted(shown) == sorted(found)


def test_kernel_paths_lead_and_other_counts_stand_beside_them(made: Made) -> None:
    page = view(*made)
    leading = {m.name for family in page.primary for m in family.metrics}
    assert all(name.endswith("/kernel_instructions") for name in leading)
    assert "syscall-getppid/1p/kernel_instructions" in leading
    assert "syscall-getppid/1p/user_instructions" in {m.name for m in page.secondary}
    assert "pipe/2p-other/kernel_instructions" in {m.name for m in page.behaviour}
    assert "pipe/2p-batch/schedules" in {m.name for m in page.behaviour}


def test_a_region_without_kernel_path_leads_with_what_it_has(made: Made) -> None:
    judgement, run = made
    finding = judgement.findings["debian:7.2"][0]
    metric = replace(finding.comparison.metric, name="placement/spin/llc_locality")
    alone = replace(finding, comparison=replace(finding.comparison, metric=metric))
    page = view(replace(judgement, findings={"debian:7.2": (alone,)}), run)
    assert [m.name for f in page.primary for m in f.metrics] == ["placement/spin/llc_locality"]
    assert page.primary[0].title == "Placement"


def test_tallies_count_each_primary_finding_of_a_candidate(made: Made) -> None:
    page = view(*made)
    primary = sum(len(family.metrics) for family in page.primary)
    for candidate in page.candidates:
        assert sum(t.count for t in candidate.tallies) == primary


def test_movers_are_sorted_by_the_size_of_their_change(made: Made) -> None:
    for candidate in view(*made).candidates:
        sizes = [f.log_size for _, f in candidate.movers]
        assert sizes == sorted(sizes, reverse=True)
        assert all(f.arm == candidate.arm.name for _, f in candidate.movers)


def test_a_candidate_without_numbers_still_has_its_verdict(made: Made) -> None:
    judgement, run = made
    page = view(replace(judgement, findings={"debian:7.1": (), "debian:7.2": ()}), run)
    assert [c.word for c in page.candidates] == ["reject", "reject"]
    assert page.candidates[0].sentence == "No primary metric could be judged."
    assert page.primary == ()


def test_the_real_judge_and_the_view_agree_on_what_they_say(made: Made) -> None:
    from kernleap.judge import judge

    judgement = judge(made[1], default_policy())
    page = view(judgement, made[1])
    assert page.noise is not None
    assert page.noise.floor is judgement.noise
    for candidate in page.candidates:
        assert candidate.decision is judgement.verdicts[candidate.arm.name].decision
    told = {(m.metric.name, f.arm): f.decision for m in page.metrics for f in m.findings}
    for arm, findings in judgement.findings.items():
        for finding in findings:
            assert told[finding.comparison.metric.name, arm] is finding.decision


def default_policy() -> Policy:
    from kernleap.judge import policy

    return policy.load(None)


def test_arms_of_one_kernel_go_by_their_names(made: Made) -> None:
    judgement, run = made
    ref = run.plan.baseline.ref
    arms = tuple(replace(a, ref=ref) for a in run.plan.arms)
    page = view(judgement, replace(run, plan=replace(run.plan, arms=arms)))
    assert [a.label for a in page.arms] == [a.name for a in arms]
    assert {a.reference for a in page.arms} == {"debian:7.0"}


def test_groups_and_rest_add_up_to_the_total(made: Made) -> None:
    found = explanation(first_finding(made))
    assert found is not None
    assert math.fsum(g.delta for g in found.groups) + found.rest == found.total
    for group in found.groups:
        assert math.fsum(f.delta for f in group.functions) == group.delta


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(-(10**9), 10**9)), min_size=1, max_size=60
    ),
    st.integers(-1000, 1000),
    st.integers(0, 30),
    st.integers(0, 8),
)
def test_bars_add_up_whatever_is_left_out(
    rows: list[tuple[str, int]], rest: int, limit: int, groups: int
) -> None:
    found = explain([(f"f{n}", group, delta) for n, (group, delta) in enumerate(rows)], rest)
    shown = bar_rows(found, limit, groups)
    assert shown[0].kind == "total"
    assert math.fsum(r.delta for r in shown if r.kind in ("group", "rest")) == found.total
    of_group = 0.0
    seen_parts = False
    for row in reversed(shown):
        if row.kind in ("function", "more"):
            of_group += row.delta
            seen_parts = True
        elif row.kind == "group":
            assert not seen_parts or of_group == row.delta
            of_group, seen_parts = 0.0, False


@cache
def any_finding() -> Finding:
    return make(boots=1, aa=False, failures=False)[0].findings["debian:7.2"][0]


def explain(rows: list[tuple[str, str, int]], rest: int) -> Explanation:
    finding = replace(
        any_finding(),
        functions=tuple(FunctionDelta(n, g, 0.0, float(d), float(d)) for n, g, d in rows),
        explained_total=float(sum(d for _, _, d in rows) + rest),
    )
    found = explanation(finding)
    assert found is not None
    return found


def test_responsible_functions_push_the_way_the_metric_moved() -> None:
    found = explain([("grew", "a", 50), ("shrank", "a", -80), ("also", "b", 10)], 0)
    assert responsible(found, 5.0, 3) == ("grew +50", "also +10")
    assert responsible(found, -5.0, 3) == ("shrank −80",)
    assert responsible(None, 1.0) == ()


def test_a_function_recurs_only_if_it_explains_two_metrics(made: Made) -> None:
    finding = first_finding(made)
    one = explain([("shared", "a", 50), ("alone", "a", 7)], 0)
    two = explain([("shared", "a", 70)], 0)
    rows = recurring([(finding, one), (finding, two), (finding, None)])
    assert [(r.name, r.metrics, r.least, r.most) for r in rows] == [("shared", 2, 50.0, 70.0)]


def test_one_giant_does_not_flatten_the_scale(made: Made) -> None:
    findings = [f for family in view(*made).primary for m in family.metrics for f in m.findings]
    giant: FindingView = replace(findings[0], ratio=12.0)
    scale = scale_of([*findings, giant])
    assert scale.full < 1.0
    assert scale.position(12.0) == 1.0
    assert scale.outside(12.0)
    assert scale.position(1.0) == 0.0
    assert scale.position(0.0) == -1.0


def test_undecided_says_how_many_boots_would_decide(made: Made) -> None:
    undecided = [
        f for m in view(*made).metrics for f in m.findings if f.decision is Decision.UNDECIDED
    ]
    assert undecided
    assert all(f.next_step == "about 9 more boots per arm would decide it" for f in undecided)


@pytest.mark.parametrize(
    ("workload", "family"),
    [
        ("syscall-getppid", "System calls"),
        ("unix-stream", "Unix sockets"),
        ("tcp-1b", "TCP and UDP"),
        ("epoll-1024", "Readiness"),
        ("fork-exit", "Processes and threads"),
        ("tensor-parallel", "tensor"),
        ("", "Other"),
    ],
)
def test_families(workload: str, family: str) -> None:
    assert family_of(workload) == family
