"""Runs of several parts: judged part by part, shown as one, and what cannot be a part."""

from __future__ import annotations

import io
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from kernleap.judge import Judgement, judge
from kernleap.judge.policy import load
from kernleap.machine import kind_of
from kernleap.model.errors import UsageError
from kernleap.model.machine import MachineSpec
from kernleap.model.result import Decision, VerdictDecision
from kernleap.model.run import RunData
from kernleap.model.trial import Samples, TrialStatus
from kernleap.report import html, json, terminal
from kernleap.report.view import view
from kernleap.workload import metrics_for
from kernleap.workload.needs import needs_of
from kernleap.workload.serving.region import TINY
from simulated import Boot, State, run_of

SHORT, LONG = State(4000), State(4400)


def boots(region: str, state: State, count: int) -> list[Boot | None]:
    made: list[Boot | None] = []
    for _ in range(count):
        boot = Boot()
        boot.add(region, [state] * 20, ("do_syscall_64", "pipe_write"))
        made.append(boot)
    return made


def part(region: str, suite: str, first: State, second: State, count: int) -> RunData:
    """A run of one part, of one region."""
    run = run_of(
        {"baseline": boots(region, first, count), "candidate": boots(region, second, count)},
        regions=(region,),
    )
    own = replace(run.plan.parts[0], suite=suite, guest_sha256=suite * 8)
    records = tuple(replace(r, facts={"guest_sha256": suite * 8}) for r in run.records)
    return replace(run, plan=replace(run.plan, parts=(own,)), records=records)


def together(*runs: RunData) -> RunData:
    """The parts of these runs as one run."""
    trials, records, parts = [], [], []
    for number, run in enumerate(runs):
        first = sum(p.boots for p in parts)
        moved = {
            t.id: replace(t, id=f"{number}-{t.id}", block=first + t.block, part=number)
            for t in run.plan.trials
        }
        trials += moved.values()
        records += [replace(r, trial=moved[r.trial.id]) for r in run.records]
        parts += run.plan.parts
    plan = replace(runs[0].plan, parts=tuple(parts), trials=tuple(trials))
    return RunData(plan, tuple(records))


def both(count: int = 3) -> RunData:
    return together(
        part("pipe/1p", "micro", SHORT, LONG, 5), part("w/1p", "serving", SHORT, SHORT, count)
    )


def decisions(judgement: Judgement) -> dict[str, Decision]:
    return {
        f.comparison.metric.name: f.decision
        for f in judgement.findings["candidate"]
        if f.comparison.metric.quantity == "kernel_instructions"
    }


def test_each_metric_is_compared_over_the_boots_of_its_part():
    judgement = judge(both(), load())
    assert decisions(judgement) == {
        "pipe/1p/kernel_instructions": Decision.WORSE,
        "w/1p/kernel_instructions": Decision.EQUIVALENT,
    }
    for finding in judgement.findings["candidate"]:
        wanted = 5 if finding.comparison.metric.name.startswith("pipe") else 3
        assert finding.comparison.baseline.n == finding.comparison.candidate.n == wanted
        assert finding.comparison.quality == ()
    assert judgement.warnings == ()
    assert (
        judgement.confounders["candidate"]
        == (judge(part("pipe/1p", "micro", SHORT, LONG, 5), load()).confounders["candidate"])
    )


def test_a_part_without_its_boots_gives_no_numbers_and_no_verdict():
    run = both()
    records = tuple(
        replace(r, status=TrialStatus.PANICKED, samples=(), profiles=())
        if r.trial.part == 1 and r.trial.arm == "candidate" and r.trial.block > 5
        else r
        for r in run.records
    )
    judgement = judge(replace(run, records=records), load())
    assert decisions(judgement) == {"pipe/1p/kernel_instructions": Decision.WORSE}
    verdict = judgement.verdicts["candidate"]
    assert verdict.decision is VerdictDecision.UNDECIDED
    assert [(r.rule, r.text) for r in verdict.reasons] == [
        (
            "infrastructure",
            "arm candidate: 1 of 3 boots of serving ended well (the policy asks for 3)",
        )
    ]
    assert "arm candidate: 2 of 8 boots are missing" in judgement.warnings


def test_the_part_with_the_fewest_planned_boots_counts_for_the_policy():
    verdict = judge(both(count=2), load()).verdicts["candidate"]
    assert verdict.reasons[0].rule == "min-boots"
    assert verdict.reasons[0].text == "2 boots per arm, and the policy asks for 3"


def test_a_report_says_how_many_boots_each_part_has():
    run = both()
    page = view(judge(run, load()), run)
    assert page.boots_text == "boots per arm: 5 (micro), 3 (serving)"
    assert page.subtitle.startswith("2 regions of the suites micro and serving, boots per arm:")
    document = json.render(page)
    jsonschema.validate(document, json.schema())
    assert [p["suite"] for p in document["plan"]["parts"]] == ["micro", "serving"]
    assert {t["part"] for t in document["trials"]} == {0, 1}
    rows = dict(page.provenance)
    assert rows["Suites"] == "micro, serving"
    assert rows["Guest image (SHA-256), serving"] == "serving" * 8
    assert rows["CPU model"] == MachineSpec().cpu
    assert "boots per arm: 5 (micro), 3 (serving)" in html.render(page)


def serving_run() -> RunData:
    """Three boots of an arm of the serving suite's metrics; the values are beside the point."""
    names = metrics_for([TINY])
    arms: dict[str, list[Boot | None]] = {}
    for arm in ("baseline", "candidate"):
        arms[arm] = []
        for block in range(3):
            boot = Boot()
            boot.samples = [
                Samples(m.name, m.unit, np.array([100.0 + block + 7 * (arm == "candidate")]))
                for m in names
            ]
            arms[arm].append(boot)
    run = run_of(arms, regions=("pipe/1p",))
    own = replace(run.plan.parts[0], suite="serving", regions=(TINY.planned,), metrics=names)
    return replace(run, plan=replace(run.plan, parts=(own,)))


def test_guest_time_is_marked_as_no_evidence_of_speed_wherever_it_is_shown():
    run = serving_run()
    page = view(judge(run, load()), run)
    out = io.StringIO()
    terminal.render(page, Console(file=out, width=100))
    text = out.getvalue()
    shown = text[text.index("Seen by the client, in guest time") :]
    assert "not evidence of speed" in shown.splitlines()[0]
    assert "ttft_p50" in shown
    assert "itl_p99" in shown
    markup = html.render(page)
    after = markup[markup.index("Seen by the client, in guest time") :]
    assert "not evidence of speed" in after[:400]
    assert f"{TINY.name}/ttft_p99" in after
    for metric in json.render(page)["metrics"]:
        timed = metric["name"].rpartition("/")[2] in TINY.timed()
        assert ("not evidence of speed" in metric["caution"]) == timed
        assert metric["decision"] in ("equivalent", "undecided", "behaviour_changed") or not timed
    assert not page.candidates[0].tails


def test_server_and_client_have_rows_of_their_own_below_the_total():
    run = serving_run()
    page = view(judge(run, load()), run)
    (family,) = page.primary
    assert [m.short for m in family.metrics] == [
        "kernel instructions",
        "of the server",
        "of the client",
    ]
    assert [m.row for m in family.metrics] == [
        TINY.name,
        f"{TINY.name}, of the server",
        f"{TINY.name}, of the client",
    ]


def test_kinds_of_machines_register_themselves():
    lab = kind_of("lab")
    assert lab.suites == ("micro", "serving")
    spec = lab.fit(MachineSpec(cpu="Nehalem"), needs_of("serving"))
    assert (spec.cpu, spec.guest, spec.memory_mib) == ("Nehalem", "serving", 1024)
    assert lab.fit(MachineSpec(), needs_of("quick")) == MachineSpec()
    with pytest.raises(UsageError, match="no kind of machine 'moon'") as caught:
        kind_of("moon")
    assert "lab (kernels booted in an emulator" in (caught.value.cause or "")
