"""Several architectures in one run: names apart, judged apart, shown side by side."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kernleap.cli import run as run_cli
from kernleap.cli._inputs import Inputs, add_off_arms
from kernleap.cli._progress import showing
from kernleap.experiment.plan import make_arms
from kernleap.judge import judge
from kernleap.judge.policy import load
from kernleap.kernel import parse_ref
from kernleap.model.errors import Exit
from kernleap.model.kernel import Arch, KernelImage, Provenance
from kernleap.model.machine import usual_machine
from kernleap.model.metric import qualified
from kernleap.model.result import Decision
from kernleap.model.run import ArmInputs, RunData
from kernleap.report import html, terminal
from kernleap.report import json as report_json
from kernleap.report.architectures import Agreement, agreement_of
from kernleap.report.view import view
from kernleap.workload import metrics_for, planned_for, select
from simulated import OPERATIONS, Boot, State, run_of

BOOTS = 4
# What the candidate does to each path, on amd64 and on arm64.
EFFECTS = {
    "same": (1.10, 1.05),
    "opposite": (0.90, 1.20),
    "here": (1.10, 1.0),
    "there": (1.0, 0.8),
    "calm": (1.0, 1.0),
}


def boots_of(arch: Arch, place: int | None) -> list[Boot]:
    """Boots of one arm on one architecture; the baseline has no effect (None)."""
    boots = []
    for _ in range(BOOTS):
        boot = Boot()
        for name, factors in EFFECTS.items():
            path = round(5000 * (1.0 if place is None else factors[place]))
            region = qualified(f"{name}/1p", arch)
            boot.add(region, [State(path)] * OPERATIONS, ("entry", "pipe_write"))
        boots.append(boot)
    return boots


def inputs_of(arch: Arch) -> tuple[ArmInputs, ...]:
    return tuple(
        ArmInputs(arm, f"7.{n}-{arch}", f"{n}{arch}", {"source": "debian"}, arch=arch)
        for n, arm in enumerate(("baseline", "candidate"))
    )


def one_arch(place: int, arch: Arch) -> RunData:
    regions = tuple(qualified(f"{name}/1p", arch) for name in EFFECTS)
    run = run_of(
        {"baseline": boots_of(arch, None), "candidate": boots_of(arch, place)},
        regions=regions,
        inputs=inputs_of(arch),
    )
    (part,) = run.plan.parts
    return replace(run, plan=replace(run.plan, parts=(replace(part, machine=usual_machine(arch)),)))


@pytest.fixture(scope="module")
def run() -> RunData:
    amd64, arm64 = (one_arch(place, arch) for place, arch in enumerate(Arch))
    records = [
        replace(r, trial=replace(r.trial, id=f"arm64-{r.trial.id}", part=1,
                                 block=r.trial.block + BOOTS))
        for r in arm64.records
    ]  # fmt: skip
    plan = replace(
        amd64.plan,
        parts=(*amd64.plan.parts, *arm64.plan.parts),
        trials=(*amd64.plan.trials, *(r.trial for r in records)),
        inputs=(*amd64.plan.inputs, *arm64.plan.inputs),
    )
    return RunData(plan, (*amd64.records, *records), {"arm64:baseline": "CONFIG_HZ=250\n"})


def test_each_architecture_is_judged_by_its_own_boots(run: RunData) -> None:
    (findings,) = judge(run, load(None)).findings.values()
    paths = {f.comparison.metric.name: f for f in findings if f.comparison.metric.form == "1p"}
    for name, factors in EFFECTS.items():
        for arch, factor in zip(Arch, factors, strict=True):
            finding = paths[qualified(f"{name}/1p/kernel_instructions", arch)]
            assert finding.comparison.ratio == pytest.approx(factor)
            assert finding.comparison.baseline.n == BOOTS
            moved = finding.decision in (Decision.BETTER, Decision.WORSE)
            assert moved == (factor != 1.0)
            # The witness is found under the architecture's own name too.
            assert bool(finding.functions) == moved


def test_the_panel_says_direction_metric_by_metric(run: RunData) -> None:
    (panel,) = view(judge(run, load(None)), run).architectures
    assert (panel.first, panel.other) == ("amd64", "arm64")
    assert {row.label: row.agreement for row in panel.rows} == {
        "same/1p": Agreement.SAME,
        "opposite/1p": Agreement.OPPOSITE,
        "here/1p": Agreement.FIRST_ONLY,
        "there/1p": Agreement.OTHER_ONLY,
        "calm/1p": Agreement.NEITHER,
    }
    assert panel.sentence == (
        "Of 3 metrics that moved on amd64, 1 moved in the same direction in instructions on "
        "arm64, 1 in the opposite one and 1 did not move there. 1 metric moved on arm64 only."
    )


def test_every_form_of_the_report_shows_the_panel_and_none_promises_more(run: RunData) -> None:
    shown = view(judge(run, load(None)), run)
    out = io.StringIO()
    terminal.render(shown, Console(file=out, width=100, force_terminal=False))
    page = html.render(shown)
    for text in (out.getvalue(), page):
        assert "same direction in instructions on arm64" in " ".join(text.split())
        assert "opposite directions" in text
        assert "arm64:there/1p" in text
        assert "generalis" not in text
        assert "amd64: 5 paths: 2 longer, 1 shorter and 2 equivalent" in " ".join(text.split())
        assert "arm64: 5 paths: 2 longer, 1 shorter and 2 equivalent" in " ".join(text.split())
    (panel,) = report_json.render(shown)["architectures"]
    assert {m["name"]: m["agreement"] for m in panel["metrics"]}[
        "opposite/1p/kernel_instructions"
    ] == "opposite"


def test_a_run_of_one_architecture_has_no_panel() -> None:
    run = one_arch(1, Arch.ARM64)
    shown = view(judge(run, load(None)), run)
    assert shown.architectures == ()
    assert shown.baseline.release == "7.0-arm64"


def test_confounders_name_the_architecture_where_there_are_several(run: RunData) -> None:
    (found,) = judge(run, load(None)).confounders.values()
    assert {(c.name, c.baseline) for c in found if c.kind == "config"} == {
        ("configuration", "unknown"),
        ("arm64:configuration", "known"),
    }


@pytest.mark.parametrize(
    ("first", "other", "agreement"),
    [
        (Decision.BETTER, Decision.UNDECIDED, Agreement.OPEN),
        (Decision.UNDECIDED, Decision.WORSE, Agreement.OPEN),
        (Decision.BEHAVIOUR_CHANGED, Decision.BEHAVIOUR_CHANGED, Agreement.OPEN),
        (Decision.EQUIVALENT, Decision.UNDECIDED, Agreement.OPEN),
    ],
)
def test_what_is_not_decided_on_both_is_open(first, other, agreement) -> None:
    assert agreement_of(first, other) is agreement


def test_names_of_regions_and_metrics_of_architectures_never_collide() -> None:
    regions = select("micro")
    names = {arch: {m.name for m in metrics_for(regions, arch)} for arch in Arch}
    assert not names[Arch.AMD64] & names[Arch.ARM64]
    for metric in metrics_for(regions, Arch.ARM64):
        assert metric.arch is Arch.ARM64
        assert metric.plain in names[Arch.AMD64]
        assert f"{metric.workload}/{metric.form}/{metric.quantity}" == metric.plain
        assert metric.name == f"{metric.region}/{metric.quantity}"
    # No instruction of arm64 repeats: a count of repetitions would be a number about nothing.
    assert not any("rep_" in name for name in names[Arch.ARM64])
    planned = planned_for(regions, Arch.ARM64)
    assert {r.name for r in planned} == {m.region for m in metrics_for(regions, Arch.ARM64)}
    assert [r.program for r in planned] == [r.planned.program for r in regions]


def test_a_policy_means_a_quantity_on_every_architecture() -> None:
    policy = load(None)
    regions = select("serving") + select("micro", ["fork-exit-wait"])
    here = metrics_for(regions)
    there = {m.plain: m for m in metrics_for(regions, Arch.ARM64)}
    for metric in here:
        if (twin := there.get(metric.name)) is not None:
            assert policy.is_primary(metric) == policy.is_primary(twin)
            assert policy.is_guarded(metric) == policy.is_guarded(twin)
            assert policy.margin(metric) == policy.margin(twin)
    assert any(policy.is_primary(m) for m in there.values())


def test_the_arm_with_a_feature_off_boots_the_kernels_of_its_candidate(tmp_path: Path) -> None:
    arms = make_arms([parse_ref("debian:7.1"), parse_ref("debian:7.2")])
    images = {}
    for arm in arms:
        for arch in Arch:
            kconfig = tmp_path / f"{arm.name}-{arch}"
            kconfig.write_text("CONFIG_SCHED_CACHE=y\n" if "7.2" in arm.name else "")
            images[qualified(arm.name, arch)] = KernelImage(
                arm.ref,
                arm.name,
                arch,
                tmp_path,
                f"{arm.name}-{arch}",
                Provenance("debian"),
                kconfig,
            )
    with showing(quiet=True) as show:
        more, inputs = add_off_arms(arms, Inputs(images, ()), show)
    (off,) = [arm for arm in more if arm.role == "reference"]
    for arch in Arch:
        assert inputs.images[qualified(off.name, arch)].sha256 == f"debian:7.2-{arch}"
    assert inputs.images.keys() == {qualified(arm.name, arch) for arm in more for arch in Arch}


def test_an_unknown_architecture_and_one_processor_for_two_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(["compare", "debian:7.0", "debian:7.2", "--arch", "amd64,mips"]) == Exit.USAGE
    assert "'mips' is not one of amd64, arm64" in capsys.readouterr().err
    arguments = ["compare", "debian:7.0", "debian:7.2", "--arch", "amd64,arm64", "--cpu", "max"]
    assert run_cli(arguments) == Exit.USAGE
    assert "one architecture" in capsys.readouterr().err
