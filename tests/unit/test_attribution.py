"""Whether a change of placement is laid at the right door: the feature's, or the release's."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from kernleap.experiment.plan import make_arms, with_off_arms
from kernleap.judge import exit_code, judge
from kernleap.judge.policy import load
from kernleap.kernel import parse_ref
from kernleap.kernel.feature import has_feature, unpacked
from kernleap.machine import profiles
from kernleap.machine.kinds.lab import Lab
from kernleap.model.feature import CACHE_AWARE
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.run import ArmInputs, Part, RunData, RunPlan
from kernleap.model.trial import Samples, Trial, TrialRecord, TrialStatus
from kernleap.workload import fitted, metrics_for, planned_for, select
from kernleap.workload.needs import needs_of

OFF = "+debugfs:sched/llc_balancing/enabled=0"
NEW = "debian:7.2"


def plays(locality: float, block: int, lucky: float):
    values = np.full(3, locality)
    if lucky and block == 0:
        values[0] = lucky
    return values


def judged(localities: dict[str, float], boots: int = 5, lucky: float = 0.0):
    """A run of `spin` in which arms have that locality, give or take little.

    In the first boot of each arm, the first play has the locality `lucky` if that is given.
    """
    rng = np.random.default_rng(3)
    base, *rest = [parse_ref(text) for text in localities]
    arms = make_arms([base, *(r for r in rest if not CACHE_AWARE.mentions(r))])
    arms = with_off_arms(arms, CACHE_AWARE, having={NEW})
    assert {str(a.ref) for a in arms} == set(localities)
    regions = select("placement", ["spin"])
    part = Part(
        suite="placement",
        machine=Lab().fit(MachineSpec(), needs_of("placement")),
        regions=planned_for(fitted(regions, profiles.load("two-llc"))),
        metrics=metrics_for(regions),
        guest_sha256="0" * 64,
        emulator_version="QEMU 7.2.22",
        boots=boots,
    )
    trials = [
        Trial(f"{block}-{n}", arm.name, block, block * len(arms) + n, block)
        for block in range(boots)
        for n, arm in enumerate(arms)
    ]
    records = [
        TrialRecord(
            trial,
            TrialStatus.OK,
            samples=(
                Samples(
                    "spin/scattered/locality",
                    "ratio",
                    plays(localities[trial.arm] + rng.uniform(-0.01, 0.01), trial.block, lucky),
                ),
            ),
        )
        for trial in trials
    ]
    inputs = tuple(
        ArmInputs(arm.name, arm.ref.name, "0" * 64, {"source": "debian"}) for arm in arms
    )
    plan = RunPlan("run", "2026-11-23T08:00:00+00:00", arms, tuple(trials), (part,), inputs, seed=1)
    return judge(RunData(plan, tuple(records)), load(None))


def attribution(judgement):
    found = [r for r in judgement.verdicts[NEW].reasons if r.rule == "attribution"]
    return found[0].text if found else ""


def word(judgement, arm=NEW):
    (finding,) = judgement.findings[arm]
    return finding.reason


def test_a_change_that_the_knob_undoes_is_the_features():
    judgement = judged({"debian:7.1": 0.52, NEW: 0.98, NEW + OFF: 0.53})
    assert judgement.verdicts[NEW].decision == "adopt"
    assert "1 of 1 placement metrics that moved are attributed" in attribution(judgement)
    assert "attributed to the knob sched/llc_balancing/enabled" in word(judgement)


def test_a_change_that_the_knob_leaves_is_the_releases():
    judgement = judged({"debian:7.1": 0.52, NEW: 0.98, NEW + OFF: 0.97})
    assert "0 of 1" in attribution(judgement)
    assert "the release's doing" in word(judgement)


def test_a_change_in_two_steps_is_both():
    judgement = judged({"debian:7.1": 0.35, NEW: 0.98, NEW + OFF: 0.6})
    assert "0 of 1" in attribution(judgement)
    assert "in part the knob" in word(judgement)


def test_nothing_moved_nothing_attributed():
    judgement = judged({"debian:7.1": 0.52, NEW: 0.53, NEW + OFF: 0.52})
    assert attribution(judgement) == ""
    assert "knob" not in word(judgement)


def test_an_off_arm_has_findings_but_no_verdict_of_its_own():
    judgement = judged({"debian:7.1": 0.52, NEW: 0.98, NEW + OFF: 0.53})
    assert set(judgement.verdicts) == {NEW}
    assert word(judgement, NEW + OFF).startswith("the interval lies within the margin")
    assert exit_code(judgement.verdicts) == 0


def arms_of(*texts: str):
    return make_arms([parse_ref(text) for text in texts])


def test_an_off_arm_is_added_behind_each_candidate_that_has_the_feature():
    arms = with_off_arms(arms_of("debian:7.1", NEW, "debian:7.3"), CACHE_AWARE, {NEW, "debian:7.1"})
    assert [(a.name, a.role) for a in arms] == [
        ("debian:7.1", "baseline"),
        (NEW, "candidate"),
        (NEW + OFF, "reference"),
        ("debian:7.3", "candidate"),
    ]


@pytest.mark.parametrize(
    "texts", [("debian:7.1", NEW, NEW + OFF), (NEW + OFF, NEW), ("debian:7.1", NEW + OFF)]
)
def test_none_is_added_where_the_run_has_it_already(texts):
    arms = arms_of(*texts)
    assert with_off_arms(arms, CACHE_AWARE, {a.name for a in arms}) == arms


def image(tmp_path, data: bytes, kconfig: str | None = None) -> KernelImage:
    from kernleap.model.kernel import Arch, Provenance

    vmlinuz = tmp_path / "vmlinuz"
    vmlinuz.write_bytes(data)
    config = None
    if kconfig is not None:
        config = tmp_path / "config"
        config.write_text(kconfig)
    return KernelImage(
        ref=parse_ref(NEW),
        release="7.2",
        arch=Arch.AMD64,
        vmlinuz=vmlinuz,
        sha256="0" * 64,
        provenance=Provenance("debian"),
        kconfig=config,
    )


def boot_image(payload: bytes) -> bytes:
    """A bzImage's header, one setup sector, and the payload behind it."""
    head = bytearray(0x268)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x24C] = (0x40).to_bytes(4, "little")
    head[0x24C:0x250] = len(payload).to_bytes(4, "little")
    head += bytes(2 * 512 + 0x40 - len(head))
    return bytes(head) + payload + b"tail"


@pytest.mark.parametrize(
    ("kconfig", "has"), [("CONFIG_SCHED_CACHE=y\n", True), ("CONFIG_HZ=250\n", False)]
)
def test_a_configuration_tells_whether_a_kernel_has_the_feature(tmp_path, kconfig, has):
    assert has_feature(image(tmp_path, b"no image", kconfig), CACHE_AWARE) is has


@pytest.mark.parametrize(("word", "has"), [(b"..llc_balancing..", True), (b"..nothing..", False)])
def test_without_one_the_image_tells(tmp_path, word, has):
    import zstandard

    for pack in (gzip.compress, zstandard.compress):
        data = boot_image(pack(word))
        assert unpacked(data) == word
        assert has_feature(image(tmp_path, data), CACHE_AWARE) is has


def test_an_image_packed_otherwise_is_not_known(tmp_path):
    assert has_feature(image(tmp_path, boot_image(b"BZh9...")), CACHE_AWARE) is None


def test_a_lucky_play_does_not_take_the_decision_away():
    judgement = judged({"debian:7.1": 0.52, NEW: 0.76, NEW + OFF: 0.53}, lucky=0.76)
    assert judgement.findings[NEW][0].decision == "better"
