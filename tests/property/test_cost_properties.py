"""What must hold of any fleet and any effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.cost.bill import year_of
from kernleap.cost.change import difference, priced
from kernleap.cost.fleet import LOADED, MARGINAL, Fleet, inputs, with_input
from kernleap.cost.fleet_file import read
from kernleap.cost.ratio import Ratio
from kernleap.model.units import parse, quantity

ONE = np.ones(1)
UNITS = ("W", "kW", "kWh", "J", "EUR", "EUR/kWh", "EUR/Mtok", "tokens/s", "Mtok/day", "h", "years",
         "%", "", "EUR/month", "J/token")  # fmt: skip
ACCOUNTINGS = st.sampled_from([MARGINAL, LOADED])


@st.composite
def fleets(draw) -> Fleet:
    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high, allow_subnormal=False))

    def pool(n: int) -> str:
        idle = number(10, 800)
        return f"""
[[pool]]
name = "p{n}"
servers = {draw(st.integers(1, 50))}
gpus = 2
price = "{number(1000, 50_000)} EUR"
gpu_price = "{number(0, 20_000)} EUR"
life = "{number(1, 10)} years"
residual = "{number(0, 60)} %"
idle = "{idle} W"
loaded = "{idle + number(0, 1500)} W"
gpu_idle = "20 W"
gpu_loaded = "300 W"
rack = "{number(0, 3000)} EUR/year"
throughput = "{number(10, 20_000)} tokens/s"
rollout = {draw(st.sampled_from(["true", "false"])) if n else "true"}
"""

    text = f"""
currency = "EUR"
discount = "{number(0, 20)} %"
[energy]
tariff = "{number(0.01, 1)} EUR/kWh"
pue = {number(1, 2.5)}
[traffic]
utilisation = "{number(1, 95)} %"
[staff]
rate = "{number(1, 200)} EUR/h"
[rollout]
drain = "10 min"
reboot = "10 min"
test = "0 min"
hands_on = "5 min"
qualification = "{number(0, 100)} h"
"""
    return read(text + "".join(pool(n) for n in range(draw(st.integers(1, 3)))), "f.toml")


def money(fleet: Fleet) -> float:
    return float(year_of(fleet).bill(ONE).money[0])


@given(st.floats(1e-6, 1e12), st.sampled_from(UNITS))
def test_units_round_trip(value, unit):
    found = parse(f"{value!r} {unit}", "EUR")
    assert found.to(unit.replace("EUR", "money")) == pytest.approx(value, rel=1e-12)
    assert quantity(value, unit.replace("EUR", "money")) == found


@settings(max_examples=40, deadline=None)
@given(fleets(), st.floats(1, 5))
def test_more_of_a_price_or_of_watts_never_lowers_the_bill(fleet, factor):
    before = money(fleet)
    for path, value in inputs(fleet).items():
        if path[-1] in ("idle", "loaded", "gpu_idle", "gpu_loaded", "price", "gpu_price", "tariff",
                        "rack"):  # fmt: skip
            assert money(with_input(fleet, path, value * factor)) >= before * (1 - 1e-12)


@settings(max_examples=40, deadline=None)
@given(fleets(), st.floats(0.001, 0.2))
def test_no_effect_is_no_difference_within_its_interval(fleet, width):
    change = priced(fleet, year_of(fleet), Ratio(1.0, 1 / (1 + width), 1 + width))
    for outcome in (change.marginal, change.fully_loaded):
        assert outcome.per_year.value == pytest.approx(0, abs=1e-9 * money(fleet))
        assert outcome.per_year.low <= outcome.per_year.value <= outcome.per_year.high
    assert change.fully_loaded.per_year.low < 0 < change.fully_loaded.per_year.high
    certain = priced(fleet, year_of(fleet), Ratio(1.0, 1.0, 1.0)).fully_loaded
    assert certain.per_year.certain


@settings(max_examples=40, deadline=None)
@given(fleets(), st.floats(0.5, 2), st.floats(1.001, 2), ACCOUNTINGS)
def test_a_faster_kernel_is_never_dearer(fleet, ratio, more, accounting):
    year = year_of(fleet)
    slow = difference(fleet, year, ratio, accounting)
    fast = difference(fleet, year, ratio * more, accounting)
    assert fast <= slow + 1e-9 * money(fleet)
    if ratio >= 1:
        loaded = difference(fleet, year, ratio, LOADED)
        assert loaded <= difference(fleet, year, ratio, MARGINAL) + 1e-9 * money(fleet)


@settings(max_examples=30, deadline=None)
@given(fleets(), st.floats(0.01, 100))
def test_another_currency_changes_the_figures_and_nothing_else(fleet, rate):
    other = fleet
    for path, value in inputs(fleet).items():
        if value.dims[0] == 1:
            other = with_input(other, path, value * rate)
    effect = Ratio(1.02, 1.01, 1.0301)
    here = priced(fleet, year_of(fleet), effect).fully_loaded
    there = priced(other, year_of(other), effect).fully_loaded
    assert there.per_mtok.value == pytest.approx(here.per_mtok.value * rate)
    assert there.per_year.low == pytest.approx(here.per_year.low * rate)
    assert there.payback_days.value == pytest.approx(here.payback_days.value)
    assert there.joules_per_token.value == pytest.approx(here.joules_per_token.value)


@settings(max_examples=30, deadline=None)
@given(fleets(), st.integers(2, 9))
def test_a_fleet_k_times_as_large_costs_the_same_for_a_token(fleet, k):
    larger = replace(fleet, pool=tuple(replace(p, servers=p.servers * k) for p in fleet.pool))
    one, many = year_of(fleet).bill(ONE), year_of(larger).bill(ONE)
    assert many.per_token[0] == pytest.approx(one.per_token[0])
    assert many.joules_per_token[0] == pytest.approx(one.joules_per_token[0])
