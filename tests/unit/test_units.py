"""Quantities: what people write, and sums that make no sense."""

from __future__ import annotations

import pytest

from kernleap.model.units import Quantity, UnitError, named, parse, quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.21 EUR/kWh", "money/MWh", 210),
        ("45 %", "", 0.45),
        ("7_200 tokens/s", "Mtok/day", 622.08),
        ("5 years", "h", 43_800),
        ("1 month", "days", 365 / 12),
        ("2 kW", "J/s", 2000),
        ("1 W", "Wh/h", 1),
        ("36000 €/year", "money/month", 3000),
        ("3", "", 3),
        ("-1.5e3 J", "kJ", -1.5),
    ],
)
def test_what_people_write(text, unit, value):
    assert parse(text, "EUR").to(unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("much", "is not a number"),
        ("5 parsecs", "unit 'parsecs' is not known"),
        ("5 USD", "another currency than EUR"),
        ("5 $", "another currency than EUR"),
        ("1e400 W", "is too large"),
        ("", "is not a number"),
    ],
)
def test_what_is_no_quantity_says_so(text, said):
    with pytest.raises(UnitError, match=said):
        parse(text, "EUR")


def test_money_is_not_written_as_a_word():
    with pytest.raises(UnitError, match="'money' is not known"):
        parse("5 money", "EUR")


def test_only_like_things_are_added():
    with pytest.raises(UnitError, match="power and energy cannot be added"):
        quantity(1, "W") + quantity(1, "Wh")
    with pytest.raises(UnitError, match="this is power, and kWh is energy"):
        quantity(1, "W").to("kWh")
    year = quantity(100, "W") * quantity(1, "year")
    assert year.to("kWh") == pytest.approx(876)
    assert (year * quantity(0.2, "money/kWh")).to("money") == pytest.approx(175.2)
    assert (2 * quantity(3, "W") - quantity(1, "W")).to("W") == 5
    assert (quantity(6, "J") / 2 / quantity(3, "s")) == quantity(1, "W")


def test_odd_quantities_are_named_by_their_exponents():
    assert named(Quantity(1, (0, 2, 0, -1)).dims) == "energy^2 tokens^-1"
