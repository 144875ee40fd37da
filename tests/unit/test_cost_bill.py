"""The bill: the worked fleet by hand, and closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernleap.cost.bill import capital_per_year, fixed_lines, recovery_factor, year_of
from kernleap.cost.change import difference, gain_that_pays
from kernleap.cost.effort import owning_pays_from, rented_per_mtok, rollout_cost, upkeep_per_year
from kernleap.cost.fleet import LOADED, MARGINAL, Fleet
from kernleap.cost.fleet_file import load
from kernleap.model.errors import UsageError
from kernleap.model.units import quantity

ROOT = Path(__file__).resolve().parents[2]
ONE = np.ones(1)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load(ROOT / "examples/fleet.toml")


def test_recovery_factor_is_the_annuity_of_the_textbook():
    """Its present value is 1: the sum of the discounted payments, year by year."""
    for rate, years in ((0.06, 5), (0.12, 3), (0.001, 10)):
        payment = recovery_factor(rate, years)
        assert sum(payment / (1 + rate) ** n for n in range(1, years + 1)) == pytest.approx(1)
    assert recovery_factor(0, 4) == 0.25
    assert recovery_factor(1e-12, 4) == pytest.approx(0.25)


def test_the_worked_fleet_by_hand(fleet):
    """Every line of examples/fleet.toml, from the figures in the file with pencil and paper.

    Servers: 6 x (26,000 + 4 x 9,500) + 2 x 21,000 = 426,000; factor of 6 % over 5 years
    0.06 / (1 - 1.06^-5) = 0.2373964; residual 1 - 0.1 x 1.06^-5 = 0.9252742;
    426,000 x 0.2373964 x 0.9252742 = 93,573.8 a year.
    Energy: 6 x (560 + 0.45 x 1,500) + 2 x (340 + 0.3 x 560) = 8,426 W; x 1.3 x 8,760 h =
    95,955.3 kWh; x 0.21 = 20,150.6.
    Tokens: (6 x 7,200 x 0.45 + 2 x 640 x 0.3) x 31,536,000 s = 625.170 Gtok.
    """
    lines = {line.name: line.per_year.to("money/year") for line in fixed_lines(fleet)}
    assert lines["servers"] == pytest.approx(93_573.8, abs=0.1)
    assert lines == {
        "servers": pytest.approx(93_573.8, abs=0.1),
        "rack": pytest.approx(8 * 1900),
        "network": pytest.approx(8 * 450),
        "software": pytest.approx(6 * 1200 + 2 * 400),
        "operations staff": pytest.approx(36_000),
        "routine reboots, staff": pytest.approx(4 * 8 * 0.1 * 85),
    }
    bill = year_of(fleet).bill(ONE)
    assert bill.energy[0] / 3.6e6 == pytest.approx(95_955.3, abs=0.1)
    assert bill.tokens[0] / 1e9 == pytest.approx(625.170, abs=0.001)
    assert bill.money[0] == pytest.approx(93_573.8 + 15_200 + 3600 + 8000 + 36_000 + 272 + 20_150.6,
                                          abs=0.2)  # fmt: skip
    assert bill.per_token[0] * 1e6 == pytest.approx(176_796.4 / 625_169.664, rel=1e-6)
    assert bill.joules_per_token[0] == pytest.approx(95_955.288 * 3.6e6 / 625.169664e9)


def test_what_a_rollout_of_the_worked_fleet_takes(fleet):
    """24 h + 8 x 6 min at 85/h, and 8 x 45 min of an eighth of the bill each; 9 x 10 h a year."""
    year = year_of(fleet)
    assert rollout_cost(fleet, year) == pytest.approx(24.8 * 85 + 0.75 / 8760 * 176_796.39)
    assert upkeep_per_year(fleet) == 7650


def test_a_tenth_faster_by_hand(fleet):
    """Marginal: loaded for 1 - 1/1.1 of 45 % (30 %) less time, 1,500 W (560 W) each saved.

    (6 x 0.45 x 1,500 + 2 x 0.3 x 560) x (1 - 1/1.1) = 398.73 W; x 1.3 x 8.76 x 0.21 = 953.55.
    Fully loaded: 1 - 1/1.1 of everything.
    """
    year = year_of(fleet)
    assert difference(fleet, year, 1.1, MARGINAL) == pytest.approx(-953.55, abs=0.01)
    assert difference(fleet, year, 1.1, LOADED) == pytest.approx(-176_796.39 / 11, abs=0.01)
    assert difference(fleet, year, 1.1, LOADED, patched=True) == pytest.approx(
        -176_796.39 / 11 + 7650, abs=0.01
    )


def test_measured_energy_replaces_unchanged_watts(fleet):
    """3 % fewer J/token at the same speed: 3 % of loaded energy, in both accountings."""
    year = year_of(fleet)
    loaded_watts = 6 * 0.45 * 2060 + 2 * 0.3 * 900
    saved = 0.03 * loaded_watts * 1.3 * 8.76 * 0.21
    for accounting in (MARGINAL, LOADED):
        assert difference(fleet, year, 1.0, accounting, 0.97) == pytest.approx(-saved)


def test_the_gain_that_pays_has_a_closed_form_where_all_pools_are_reached(fleet):
    """Fully loaded, B (1 - 1/r) = cost + upkeep, so r = B / (B - cost - upkeep)."""
    year = year_of(fleet)
    bill, cost = year.bill(ONE).money[0], rollout_cost(fleet, year)
    assert gain_that_pays(fleet, year, LOADED, patched=False) == pytest.approx(bill / (bill - cost))
    assert gain_that_pays(fleet, year, LOADED, patched=True) == pytest.approx(
        bill / (bill - cost - 7650)
    )
    swing = (6 * 0.45 * 1500 + 2 * 0.3 * 560) * 1.3 * 8.76 * 0.21
    assert gain_that_pays(fleet, year, MARGINAL, patched=False) == pytest.approx(
        swing / (swing - cost)
    )
    dear = replace(fleet, energy=replace(fleet.energy, tariff=quantity(0, "money/kWh")))
    assert gain_that_pays(dear, year_of(dear), MARGINAL, patched=False) == float("inf")


def test_pools_without_the_kernel_keep_their_bill(fleet):
    first, second = fleet.pool
    only_first = replace(fleet, pool=(first, replace(second, rollout=False)))
    swing = 6 * 0.45 * 1500 * 1.3 * 8.76 * 0.21
    assert difference(only_first, year_of(only_first), 1.1, MARGINAL) == pytest.approx(-swing / 11)


def test_demand_gives_the_utilisation(fleet):
    pools = tuple(replace(pool, utilisation=None) for pool in fleet.pool)
    traffic = replace(fleet.traffic, utilisation=None, demand=quantity(1, "Gtok/day"))
    asked = replace(fleet, pool=pools, traffic=traffic)
    bill = year_of(asked).bill(ONE)
    assert bill.tokens[0] == pytest.approx(365e9)
    assert bill.busiest[0] == pytest.approx(1e9 / 86400 / (6 * 7200 + 2 * 640))
    too_much = replace(asked, traffic=replace(traffic, demand=quantity(10, "Gtok/day")))
    with pytest.raises(UsageError, match=r"needs 2\.60 times its throughput"):
        year_of(too_much)


def test_owning_and_the_api_meet_where_the_formula_says(fleet):
    year = year_of(fleet)
    share, tokens = owning_pays_from(fleet, year)
    pools = tuple(replace(pool, utilisation=quantity(share, "")) for pool in fleet.pool)
    there = year_of(replace(fleet, pool=pools)).bill(ONE)
    assert there.per_token[0] * 1e6 == pytest.approx(0.85)
    assert there.tokens[0] == pytest.approx(tokens)
    assert rented_per_mtok(fleet, year) == pytest.approx(6.20 / (7200 * 3600 * 0.45) * 1e6)
    cheap = replace(fleet, cloud=replace(fleet.cloud, price=quantity(1e-3, "money/Mtok")))
    assert owning_pays_from(cheap, year)[0] == float("inf")


def test_capital_without_residual_or_interest_is_price_over_life(fleet):
    pool = replace(fleet.pool[1], residual=quantity(0, ""))
    assert capital_per_year(pool, quantity(0, "")).to("money/year") == pytest.approx(42_000 / 5)


def test_a_throughput_of_the_run_needs_a_run(fleet):
    open_pool = replace(fleet, pool=(replace(fleet.pool[0], throughput=None),))
    with pytest.raises(UsageError, match="no tokens/s were measured"):
        year_of(open_pool)
    assert year_of(open_pool, 7200.0).capacity[0, 0] == year_of(fleet).capacity[0, 0]
