"""Effects in money: propagation against the analytic answer, pay-back, deferral."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kernleap.cost.bill import year_of
from kernleap.cost.change import priced
from kernleap.cost.effort import rollout_cost
from kernleap.cost.fleet import Fleet
from kernleap.cost.fleet_file import load
from kernleap.cost.ratio import CERTAIN, Figure, Ratio, figure, normals

ROOT = Path(__file__).resolve().parents[2]
EFFECT = Ratio(1.023, 1.011, 1.0352)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load(ROOT / "examples/fleet.toml")


def test_an_effect_keeps_its_interval():
    drawn = EFFECT.at(normals(20_000, 1, 3)[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low == pytest.approx(1.011, rel=1e-4)
    assert high == pytest.approx(1.0352, rel=1e-4)
    assert not Ratio(1.0, 0.0, float("inf")).known
    assert Ratio(0.98, 0.97, 0.985, 0.9).sigma == pytest.approx(
        log(0.985 / 0.97) / (2 * stats.norm.ppf(0.95))
    )


def test_strata_hold_one_value_each_and_depend_on_the_seed():
    drawn = stats.norm.cdf(normals(1000, 2, 1))
    for row in drawn:
        assert sorted(np.floor(row * 1000)) == list(range(1000))
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.1
    assert not np.array_equal(normals(1000, 2, 1), normals(1000, 2, 2))
    assert np.array_equal(normals(1000, 2, 1), normals(1000, 2, 1))


def test_fully_loaded_cost_has_the_quantiles_of_its_log_normal(fleet):
    """A million tokens cost c / r, monotone in r: quantiles go through exactly."""
    change = priced(fleet, year_of(fleet), EFFECT)
    today = year_of(fleet).bill(np.ones(1)).per_token[0] * 1e6
    found = change.fully_loaded.per_mtok
    assert found.value == pytest.approx(today / 1.023)
    assert found.low == pytest.approx(today / 1.0352, rel=1e-4)
    assert found.high == pytest.approx(today / 1.011, rel=1e-4)


def test_two_uncertain_inputs_join_as_log_normals_do(fleet):
    """Throughput of the run (log-sd s1) and effect (s2): c / (b r) has sqrt(s1^2 + s2^2)."""
    pool = replace(fleet.pool[0], throughput=None)
    one = replace(fleet, pool=(pool,))
    rate = Ratio(1.0, exp(-0.06), exp(0.06))
    effect = Ratio(1.05, 1.05 * exp(-0.08), 1.05 * exp(0.08))
    found = priced(one, year_of(one, 5000.0), effect, rate=rate).fully_loaded.per_mtok
    centre = year_of(one, 5000.0).bill(np.ones(1)).per_token[0] * 1e6 / 1.05
    assert found.low == pytest.approx(centre * exp(-0.10), rel=3e-3)
    assert found.high == pytest.approx(centre * exp(0.10), rel=3e-3)


def test_marginal_saving_is_linear_in_the_time_saved(fleet):
    """-S (1 - 1/r): its quantiles are those of 1/r; S by hand in test_cost_bill."""
    saved = (6 * 0.45 * 1500 + 2 * 0.3 * 560) * 1.3 * 8.76 * 0.21
    found = priced(fleet, year_of(fleet), EFFECT).marginal.per_year
    assert found.value == pytest.approx(-saved * (1 - 1 / 1.023))
    assert found.low == pytest.approx(-saved * (1 - 1 / 1.0352), rel=1e-3)
    assert found.high == pytest.approx(-saved * (1 - 1 / 1.011), rel=1e-3)


def test_payback_is_cost_over_saving_and_never_where_nothing_is_saved(fleet):
    year = year_of(fleet)
    cost = rollout_cost(fleet, year)
    sure = priced(fleet, year, EFFECT).fully_loaded
    assert sure.payback_days.value == pytest.approx(365 * cost / -sure.per_year.value)
    assert sure.payback_days.low == pytest.approx(365 * cost / -sure.per_year.low, rel=1e-3)
    open_ = priced(fleet, year, Ratio(1.01, 0.99, 1.0304)).fully_loaded
    assert open_.payback_days.high == float("inf")
    z = log(1.01 / 1.0) / (log(1.0304 / 0.99) / (2 * stats.norm.ppf(0.975)))
    assert open_.pays_back == pytest.approx(stats.norm.cdf(z), abs=0.01)
    slower = priced(fleet, year, Ratio(0.98, 0.97, 0.99)).marginal
    assert slower.payback_days.value == float("inf")
    assert slower.pays_back < 1e-3
    assert slower.per_year.low > 0
    no_rollout = replace(fleet, rollout=None)
    assert priced(no_rollout, year_of(no_rollout), EFFECT).marginal.payback_days is None


def test_upkeep_of_patches_can_eat_the_gain(fleet):
    year = year_of(fleet)
    plain = priced(fleet, year, EFFECT).fully_loaded.per_year
    patched = priced(fleet, year, EFFECT, patched=True).fully_loaded.per_year
    assert plain.value < 0 < patched.value
    assert patched.value - plain.value == pytest.approx(7650)


def test_energy_and_throughput_are_drawn_independently(fleet):
    """Energy a token under load, as measured: the joules follow it and not the speed."""
    year = year_of(fleet)
    joules = Ratio(0.97, 0.96, 0.98)
    found = priced(fleet, year, CERTAIN, joules).marginal
    loaded = (6 * 0.45 * 2060 + 2 * 0.3 * 900) * 1.3 * 31.536e6 / year.bill(np.ones(1)).tokens[0]
    before = year.bill(np.ones(1)).joules_per_token[0]
    assert found.joules_per_token.value == pytest.approx(before - 0.03 * loaded)
    assert found.joules_per_token.high == pytest.approx(before - 0.02 * loaded, rel=1e-4)


def test_growth_is_put_off_by_what_the_effect_gives(fleet):
    """1.35^t = 1.023; purchases of a year, 35 % of 426,000, so much later at 6 %."""
    later = priced(fleet, year_of(fleet), EFFECT).deferral
    years = log(1.023) / log(1.35)
    assert later.days.value == pytest.approx(365 * years)
    assert later.value.value == pytest.approx(426_000 * 0.35 * (1 - 1.06**-years))
    still = replace(fleet, traffic=replace(fleet.traffic, growth=None))
    assert priced(still, year_of(still), EFFECT).deferral is None


def test_a_slower_kernel_may_not_serve_the_traffic(fleet):
    full = replace(
        fleet, traffic=replace(fleet.traffic, utilisation=fleet.traffic.utilisation * (1 / 0.45))
    )
    assert priced(full, year_of(full), EFFECT).overload < 0.01
    assert priced(full, year_of(full), Ratio(1.0, 0.99, 1 / 0.99)).overload == pytest.approx(
        0.5, abs=0.01
    )


def test_a_figure_contains_its_point():
    wide = figure(5.0, np.linspace(0, 1, 1001), 0.9)
    assert (wide.value, wide.high) == (5.0, 5.0)
    assert wide.low == pytest.approx(0.05, abs=0.0011)
    assert figure(2.0, np.full(10, 3.0), 0.9) == Figure(2.0, 2.0, 2.0)
    assert figure(2.0, np.full(10, 3.0), 0.9).certain
