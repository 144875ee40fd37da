"""Every plan is balanced, paired, and the same whenever it is made again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.experiment.plan import guest_seed, make_arms, make_plan, repeat_plan
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance
from kernleap.model.machine import MachineSpec
from kernleap.model.run import Part, Region

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
refs = st.lists(
    st.sampled_from(["6.19", "7.0", "7.1", "7.2"]).map(lambda v: KernelRef("debian", v)),
    min_size=2,
    max_size=5,
)


def image(ref: KernelRef) -> KernelImage:
    return KernelImage(
        ref, ref.name, Arch.AMD64, Path("/x"), ref.name.ljust(64, "0"), Provenance("debian")
    )


def part_of(suite="micro", boots=3, guest="g" * 64) -> Part:
    return Part(
        suite=suite,
        machine=MachineSpec(),
        regions=(Region(f"{suite}/1p", suite, "1p", 300, 50),),
        metrics=(),
        guest_sha256=guest,
        emulator_version="7.2",
        boots=boots,
    )


def plan_of(refs, boots=3, seed=1, aa=False, guest="g" * 64, when=WHEN, beside=()):
    arms = make_arms(refs, aa=aa)
    return make_plan(
        arms=arms,
        images={arm.name: image(arm.ref) for arm in arms},
        kconfig_digests={},
        parts=(part_of(boots=boots, guest=guest), *beside),
        seed=seed,
        created=when,
    )


@given(refs, st.integers(1, 12), st.integers(0, 2**63), st.booleans())
def test_blocks_hold_each_arm_once_with_one_seed(refs, boots, seed, aa):
    plan = plan_of(refs, boots, seed, aa)
    names = sorted(arm.name for arm in plan.arms)
    assert len(set(names)) == len(refs) + aa
    for block in range(boots):
        trials = [t for t in plan.trials if t.block == block]
        assert sorted(t.arm for t in trials) == names
        assert {t.seed for t in trials} == {guest_seed(seed, block)}
    assert [t.order for t in plan.trials] == list(range(boots * len(names)))
    assert [t.block for t in plan.trials] == sorted(t.block for t in plan.trials)
    assert len({t.id for t in plan.trials}) == len(plan.trials)
    assert [a.role for a in plan.arms].count("baseline") == 1
    assert plan.baseline.ref == refs[0]


@given(refs, st.integers(1, 6), st.integers(0, 2**63))
def test_equal_arguments_give_equal_plans_and_more_boots_extend_them(refs, boots, seed):
    plan = plan_of(refs, boots, seed)
    assert plan == plan_of(refs, boots, seed)
    assert plan_of(refs, boots + 2, seed).trials[: len(plan.trials)] == plan.trials
    repeated = repeat_plan(
        plan,
        trials={trial.id for trial in plan.trials if trial.block},
        parts=(part_of(guest="h"),),
        kconfig_digests={},
        created=WHEN,
        command=("reproduce",),
        kernleap_version="1",
    )
    assert repeated.trials == tuple(trial for trial in plan.trials if trial.block)
    assert repeated.id != plan.id


@given(refs, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**63))
def test_parts_count_the_same_beside_each_other_and_share_the_time(refs, first, second, seed):
    alone = plan_of(refs, first, seed), plan_of(refs, second, seed, guest="s" * 64)
    both = plan_of(refs, first, seed, beside=(part_of("serving", second, "s" * 64),))
    assert [t.order for t in both.trials] == list(range(len(both.trials)))
    assert len({t.id for t in both.trials}) == len(both.trials)
    for number, one in enumerate(alone):
        mine = both.trials_of(number)
        assert [(t.arm, t.seed) for t in mine] == [(t.arm, t.seed) for t in one.trials]
        # Wherever the run is cut off, the parts are within two blocks of the same progress.
        for cut in range(0, len(both.trials), len(refs)):
            done = sum(t.part == number for t in both.trials[:cut])
            assert abs(done / len(mine) - cut / len(both.trials)) * len(mine) < 2 * len(refs)
    blocks = [{t.block for t in both.trials_of(number)} for number in (0, 1)]
    assert blocks == [set(range(first)), set(range(first, first + second))]
    assert both.suites == ("micro", "serving")
    assert both.workloads == ("micro/1p", "serving/1p")


def test_orders_are_random_and_seeds_differ():
    plan = plan_of([KernelRef("debian", "7.0"), KernelRef("debian", "7.2")], boots=400)
    first = Counter(plan.trials[n].arm for n in range(0, 800, 2))
    assert 150 < first["debian:7.0"] < 250
    assert len({t.seed for t in plan.trials}) == 400


def test_ids_change_with_whatever_changes_the_counts():
    refs = [KernelRef("debian", "7.0"), KernelRef("debian", "7.2")]
    base = {t.id for t in plan_of(refs).trials}
    assert base.isdisjoint(t.id for t in plan_of(refs, seed=2).trials)
    assert base.isdisjoint(t.id for t in plan_of(refs, guest="h" * 64).trials)
    assert base == {t.id for t in plan_of(refs, when=datetime(2027, 1, 1, tzinfo=UTC)).trials}


def test_ids_sort_by_time():
    refs = [KernelRef("debian", "7.0")] * 2
    later = plan_of(refs, when=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC))
    assert plan_of(refs).id < later.id
    assert plan_of(refs).id.startswith("20260102-030405-")


def test_names_of_arms():
    same = KernelRef("debian", "7.2")
    assert [a.name for a in make_arms([same, same, same], aa=True)] == [
        "debian:7.2",
        "debian:7.2 (2)",
        "debian:7.2 (3)",
        "debian:7.2 (A/A)",
    ]
    assert [a.role for a in make_arms([same, same], aa=True)] == ["baseline", "candidate", "aa"]


def test_what_cannot_be_planned():
    with pytest.raises(UsageError, match="at least one candidate"):
        make_arms([KernelRef("debian", "7.2")])
    with pytest.raises(UsageError, match="--boots must be between 1 and 999"):
        plan_of([KernelRef("debian", "7.0")] * 2, boots=0)
    with pytest.raises(UsageError, match="micro/1p is in two of the suites"):
        plan_of([KernelRef("debian", "7.0")] * 2, beside=(part_of(),))
    with pytest.raises(UsageError, match="--boots must be between 1 and 999, not 1000"):
        plan_of([KernelRef("debian", "7.0")] * 2, boots=500, beside=(part_of("x", 500),))
