"""What is known of a candidate reaches policies and reports, and never grows on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kernleap.cli._evidence import evidence_of
from kernleap.cli._judging import assess
from kernleap.cost.fleet_file import load as load_fleet
from kernleap.judge.policy import load
from kernleap.model.evidence import CandidateEvidence, worst
from kernleap.model.result import VerdictDecision
from kernleap.report import html, json
from report_data import make

FLEET = Path(__file__).parents[2] / "examples" / "fleet.toml"


def test_several_kernels_are_as_good_as_the_worst() -> None:
    good = CandidateEvidence(
        supported_until="2030-01-01", longterm=True, extra_patches=0, open_cves=1, risk="low",
        image_signed=True, packages_signed=True, fetched=False, pays_back_days=(1.0, 2.0, 3.0),
    )  # fmt: skip
    bad = replace(
        good, supported_until="2027-01-01", longterm=False, extra_patches=4, open_cves=9,
        risk="high", fetched=True, pays_back_days=(5.0, 6.0, 7.0),
    )  # fmt: skip
    both = worst([good, bad])
    assert (both.supported_until, both.longterm, both.risk) == ("2027-01-01", False, "high")
    assert (both.extra_patches, both.open_cves, both.fetched) == (4, 9, True)
    assert both.pays_back_days == (5.0, 6.0, 7.0)
    assert both.image_signed is True


def test_what_is_not_known_of_one_is_not_known_of_all() -> None:
    good = CandidateEvidence(
        supported_until="2030-01-01", longterm=True, extra_patches=0, open_cves=0, risk="low",
        image_signed=True, packages_signed=True, fetched=False, pays_back_days=(1.0, 2.0, 3.0),
    )  # fmt: skip
    assert worst([good, CandidateEvidence()]) == CandidateEvidence()
    assert worst([]) == CandidateEvidence()
    assert worst([CandidateEvidence(image_signed=False), CandidateEvidence()]).image_signed is False


def test_an_archive_fetches_and_signs_unless_told_to_stay_offline() -> None:
    _, run = make(candidates=("7.2",), failures=False)
    inputs = tuple(replace(i, provenance={"source": "debian"}) for i in run.plan.inputs)
    run = replace(run, plan=replace(run.plan, inputs=inputs, command=("kernleap", "compare")))
    policy = load()
    judgement, _ = assess(run, policy, None)
    (arm,) = judgement.verdicts

    from kernleap.cli._risk import run_profiles

    profiles = run_profiles(run)
    known = evidence_of(run, profiles, None)[arm]
    assert (known.fetched, known.packages_signed) == (True, True)
    offline = replace(run, plan=replace(run.plan, command=("kernleap", "compare", "--offline")))
    assert evidence_of(offline, profiles, None)[arm].fetched is False
    local = tuple(replace(i, provenance={"source": "deb"}) for i in inputs)
    own = replace(run, plan=replace(run.plan, inputs=local))
    assert evidence_of(own, profiles, None)[arm].packages_signed is None


def test_a_policy_that_asks_for_signed_packages_is_judged_by_where_they_came_from(
    tmp_path: Path,
) -> None:
    _, run = make(candidates=("7.2",), failures=False)
    file = tmp_path / "policy.toml"
    file.write_text('on_unknown = "reject"\n[sovereignty]\noffline = true\n[guard]\nmetrics = []\n')
    policy = load(file)
    fetched = tuple(replace(i, provenance={"source": "debian"}) for i in run.plan.inputs)
    run = replace(run, plan=replace(run.plan, inputs=fetched, command=("kernleap", "compare")))
    judgement, _ = assess(run, policy, None)
    (verdict,) = judgement.verdicts.values()
    assert verdict.decision is VerdictDecision.REJECT
    assert verdict.reasons[0].rule == "sovereignty.offline"


def test_counts_with_a_fleet_show_a_bill_and_no_price_for_the_kernel() -> None:
    _, run = make(candidates=("7.2",), failures=False)
    _, page = assess(run, load(), load_fleet(FLEET))
    (candidate,) = page.candidates
    money = candidate.chain[-1]
    assert money.title == "Money"
    assert not money.measured
    assert "counts have no price" in money.text
    text = html.render(page)
    assert 'id="bill"' in text
    assert 'id="risk"' in text
    document = json.render(page)
    assert document["cost"]["kernels"]
    assert {kernel["arm"] for kernel in document["risk"]} == {i.key for i in run.plan.inputs}
