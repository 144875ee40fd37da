"""How often a whole comparison calls a change that is none, and misses one that is there."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kernleap.judge import judge
from kernleap.judge.policy import load
from kernleap.model.result import Decision
from simulated import World, null_shift, run_of, simulate

CALLS = {Decision.BETTER, Decision.WORSE, Decision.BEHAVIOUR_CHANGED}
POLICY = load()


def calls_of(run) -> list[str]:
    return [
        f"{finding.comparison.metric.name} {finding.decision}"
        for finding in judge(run, POLICY).findings["candidate"]
        if finding.decision in CALLS
    ]


@pytest.mark.parametrize(
    ("boots", "comparisons", "apart", "restless"),
    [
        (3, 70, 0.04, 0.38),
        (5, 60, 0.04, 0.38),
        (10, 25, 0.04, 0.38),
        (20, 10, 0.04, 0.38),
        (3, 30, 0.20, 0.80),
        (5, 20, 0.20, 0.80),
    ],
)
def test_null_changes_are_not_called(boots, comparisons, apart, restless):
    """215 null comparisons in all; the target of 5 % allows 10 false ones, these have none."""
    false = {
        seed: calls
        for seed in range(comparisons)
        if (calls := calls_of(simulate(seed, boots, apart=apart, restless=restless, workloads=3)))
    }
    assert not false


def test_an_arm_against_itself_is_equal_everywhere():
    world = World(np.random.default_rng(3), 3)
    boots = [world.boot({}, {}) for _ in range(20)]
    run = run_of({"baseline": boots, "candidate": list(boots)}, regions=world.regions)
    for finding in judge(run, POLICY).findings["candidate"]:
        comparison = finding.comparison
        assert finding.decision is Decision.EQUIVALENT
        assert (comparison.ratio, comparison.interval, comparison.p_value) == (1.0, (1.0, 1.0), 1.0)


@pytest.mark.parametrize("effect", [1.003, 0.997, 1.01, 1.13, 0.9])
def test_small_effects_on_paths_are_always_decided_with_three_boots(effect):
    """One path of many moves: it is called, with the right sign, and nothing else is."""
    region = "w1/1p"
    for seed in range(5):
        world = World(np.random.default_rng(seed), 3)
        world.bases[:] = np.maximum(world.bases, 3000)  # so that 0.3 % is some instructions
        run = run_of(
            {
                "baseline": [world.boot({}, {}) for _ in range(3)],
                "candidate": [world.boot({region: effect}, null_shift(world)) for _ in range(3)],
            },
            regions=world.regions,
        )
        word = "worse" if effect > 1 else "better"
        assert calls_of(run) == [f"{region}/kernel_instructions {word}"]


def test_a_longer_path_through_the_fair_scheduler_is_called_with_enough_boots():
    """+15 % on a path between states that lie up to 4 % apart, five boots."""
    found = Counter()
    for seed in range(20):
        run = simulate(seed, 5, effects={"w1/2p-batch": 1.15}, workloads=3)
        found.update(calls_of(run))
    assert set(found) == {"w1/2p-batch/kernel_instructions worse"}
    assert found.total() >= 18
