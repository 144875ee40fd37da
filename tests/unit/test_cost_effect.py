"""What of a run has a price: timed throughput alone, and never guest time or counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kernleap.cli._bound_text import SCHEMA
from kernleap.cost import ceiling
from kernleap.cost.assemble import cost
from kernleap.cost.effect import evidence
from kernleap.cost.fleet_file import load
from kernleap.judge import judge
from kernleap.judge.policy import load as policy
from kernleap.model.errors import UsageError
from timed_run import counted, guest_rate, renamed, run_of, scattered, timed

ROOT = Path(__file__).resolve().parents[2]
RATE, GOODPUT, REQUESTS = (
    timed(q) for q in ("tokens_per_second", "goodput", "requests_per_second")
)


def known(arms, pattern=None):
    return evidence(judge(run_of(arms), policy()), pattern)[0]


def arm(factor: float, seed: int, **others):
    values = {RATE: scattered(1000 * factor, seed=seed)}
    return values | {timed(q): scattered(v, seed=seed + 7) for q, v in others.items()}


def test_timed_tokens_have_a_price():
    one = known({"7.0": arm(1, 1), "7.2": arm(1.05, 2)})
    assert one.throughput.name == RATE.name
    assert one.throughput.ratio.value == pytest.approx(1.05)
    assert one.throughput.ratio.low < 1.05 < one.throughput.ratio.high
    assert one.rate[0] == pytest.approx(1000, rel=0.01)
    assert one.missing == ""


def test_goodput_goes_before_tokens_where_the_slo_excludes_requests():
    requests = scattered(30, seed=3)
    base = arm(1, 1) | {REQUESTS: requests, GOODPUT: [r * 0.9 for r in requests]}
    other = arm(1.05, 2) | {REQUESTS: requests, GOODPUT: [r * 0.8 for r in requests]}
    assert known({"7.0": base, "7.2": other}).throughput.name == GOODPUT.name
    met = {REQUESTS: requests, GOODPUT: requests}
    same = known({"7.0": arm(1, 1) | met, "7.2": arm(1.05, 2) | met})
    assert same.throughput.name == RATE.name


def test_counts_and_guest_seconds_have_none():
    lab = {
        name: {counted(): scattered(c, seed=s), guest_rate(): scattered(r, seed=s)}
        for name, c, r, s in (("7.0", 111_000, 2170, 1), ("7.2", 102_000, 2400, 2))
    }
    one = known(lab)
    assert one.throughput is None
    assert one.rate is None
    assert one.counted.ratio.value == pytest.approx(102 / 111)
    assert "counts have no price" in one.missing
    result = cost(load(ROOT / "examples/fleet.toml"), (one,))
    assert result.arms[0].change is None
    assert result.arms[0].at_most is None


def test_timed_costs_of_the_kernel_alone_have_none():
    kernel = timed("kernel_time_per_token")
    one = known({"7.0": {kernel: scattered(50)}, "7.2": {kernel: scattered(45, seed=2)}})
    assert one.throughput is None
    assert one.kernel_time.ratio.value == pytest.approx(0.9)
    assert one.missing == "neither tokens/s nor goodput was timed"


def test_a_single_boot_has_no_interval_and_so_no_price():
    one = known({"7.0": {GOODPUT: [0.0] * 10}, "7.2": {GOODPUT: scattered(20)}})
    assert one.throughput is None
    assert "has no interval" in one.missing
    assert known({"7.0": {RATE: [1000.0]}, "7.2": {RATE: [1100.0]}}).rate is None


def test_several_throughputs_ask_for_a_choice():
    other = renamed(RATE, "serving/vllm")
    arms = {
        "7.0": arm(1, 1) | {other: scattered(500, seed=5)},
        "7.2": arm(1.05, 2) | {other: scattered(505, seed=6)},
    }
    with pytest.raises(UsageError, match="several throughputs") as caught:
        known(arms)
    assert other.name in caught.value.next_step
    assert known(arms, "serving/vllm/*").throughput.name == other.name
    with pytest.raises(UsageError, match="no timed tokens/s or goodput"):
        known(arms, "nothing")
    with pytest.raises(UsageError) as caught:
        known({"7.0": {counted(): [1.0, 2.0, 3.0]}, "7.2": {counted(): [1.0, 2.0, 3.0]}},
              counted().name)  # fmt: skip
    assert caught.value.cause == "these are another kind of metric"


def test_measured_energy_is_shown_and_used_only_when_the_fleet_says_so():
    arms = {"7.0": arm(1, 1, energy_per_token=0.5), "7.2": arm(1.0, 2, energy_per_token=0.45)}
    one = known(arms)
    assert one.joules == pytest.approx((0.5, 0.45))
    fleet = load(ROOT / "examples/fleet.toml")
    shown = cost(fleet, (one,)).arms[0].change
    assert shown.energy is None
    used = cost(replace(fleet, measured_energy=True), (one,)).arms[0].change
    assert used.energy.value == pytest.approx(0.9)
    assert used.marginal.per_year.value < shown.marginal.per_year.value


def test_a_throughput_of_the_run_comes_with_its_interval():
    fleet = load(ROOT / "examples/fleet.toml")
    of_run = replace(fleet, pool=(replace(fleet.pool[0], throughput=None),))
    one = known({"7.0": arm(1, 1), "7.2": arm(1.05, 2)})
    today = cost(of_run, (one,)).today
    assert today.rated
    assert today.per_mtok.low < today.per_mtok.value < today.per_mtok.high
    assert not cost(fleet, (one,)).today.rated


def bound(tmp_path, **changes):
    document = {
        "schema": 1,
        "engine": {"engine": "llama.cpp"},
        "load": {"streams": 4},
        "bound": {"most": 0.08, "settled": True},
    }
    path = tmp_path / "bound.json"
    path.write_text(json.dumps(document | changes))
    return path


def test_counts_with_a_bound_are_a_ceiling_and_marked(tmp_path):
    one = known({"7.0": {counted(): scattered(100)}, "7.2": {counted(): scattered(92, seed=2)}})
    fleet = load(ROOT / "examples/fleet.toml")
    result = cost(fleet, (one,), ceiling=ceiling.load(bound(tmp_path)))
    most = result.arms[0].at_most
    assert most.share == 0.08
    assert most.per_year == pytest.approx(0.08 * result.today.per_year)
    assert most.per_mtok == pytest.approx(0.08 * result.today.per_mtok.value)
    nothing = ceiling.load(bound(tmp_path, bound={"most": 1.0, "settled": True}))
    assert cost(fleet, (one,), ceiling=nothing).arms[0].at_most is None


def test_what_this_version_prints_as_a_bound_is_read(tmp_path):
    assert SCHEMA in ceiling.SCHEMAS
    load_ = {"streams": 8, "rate": 12.5, "arrivals": "poisson"}
    found = ceiling.load(bound(tmp_path, schema=SCHEMA, load=load_))
    assert found.what == "llama.cpp, 12.5 requests/s"


def test_a_timed_effect_needs_no_ceiling(tmp_path):
    one = known({"7.0": arm(1, 1), "7.2": arm(1.05, 2)})
    result = cost(load(ROOT / "examples/fleet.toml"), (one,), ceiling=ceiling.load(bound(tmp_path)))
    assert result.arms[0].at_most is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 9}, "schema 9"),
        ({"bound": {}}, "no such document: KeyError"),
        ({"bound": {"most": 3, "settled": True}}, "a share is from 0 to 1"),
        ({"bound": {"most": 0.1, "settled": False}}, "too noisy"),
    ],
)
def test_a_bound_that_is_none_is_refused(tmp_path, changes, said):
    with pytest.raises(UsageError) as caught:
        ceiling.load(bound(tmp_path, **changes))
    assert said in str(caught.value)


def test_a_bound_that_cannot_be_read(tmp_path):
    path = tmp_path / "b.json"
    path.write_text("[")
    with pytest.raises(UsageError, match="cannot read the bound"):
        ceiling.load(path)
