"""Quantities with units: money, energy, time and tokens, checked wherever they meet.

A `Quantity` holds its value in base units (the currency at hand, joule, second, token) and
their exponents, so that adding watts to watt-hours is an error instead of a wrong bill. Money
has one currency per file: nothing is converted. A year has 365 days.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

Dims = tuple[int, int, int, int]
"""Exponents of money, energy, time and tokens."""

_MONEY: Dims = (1, 0, 0, 0)
_ENERGY: Dims = (0, 1, 0, 0)
_TIME: Dims = (0, 0, 1, 0)
_TOKENS: Dims = (0, 0, 0, 1)
_POWER: Dims = (0, 1, -1, 0)
NUMBER: Dims = (0, 0, 0, 0)

CURRENCY = "money"
"""Stands for the currency of a file in the units of our own messages."""

_UNITS: dict[str, tuple[float, Dims]] = {
    "": (1.0, NUMBER),
    "%": (0.01, NUMBER),
    CURRENCY: (1.0, _MONEY),
    "J": (1.0, _ENERGY),
    "kJ": (1e3, _ENERGY),
    "MJ": (1e6, _ENERGY),
    "Wh": (3.6e3, _ENERGY),
    "kWh": (3.6e6, _ENERGY),
    "MWh": (3.6e9, _ENERGY),
    "W": (1.0, _POWER),
    "kW": (1e3, _POWER),
    "MW": (1e6, _POWER),
    "s": (1.0, _TIME),
    "min": (60.0, _TIME),
    "h": (3600.0, _TIME),
    "day": (86400.0, _TIME),
    "days": (86400.0, _TIME),
    "month": (31536000.0 / 12, _TIME),
    "months": (31536000.0 / 12, _TIME),
    "year": (31536000.0, _TIME),
    "years": (31536000.0, _TIME),
    "token": (1.0, _TOKENS),
    "tokens": (1.0, _TOKENS),
    "ktok": (1e3, _TOKENS),
    "Mtok": (1e6, _TOKENS),
    "Gtok": (1e9, _TOKENS),
}
_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP"}
_TEXT = re.compile(r"\s*([+-]?(?:\d[\d_]*)(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*")
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")


class UnitError(ValueError):
    """A text that is no quantity, or quantities that do not go together."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in base units, and what it is a quantity of."""

    value: float
    dims: Dims = NUMBER

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.value + self._alike(other), self.dims)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.value - self._alike(other), self.dims)

    def __mul__(self, other: Quantity | float) -> Quantity:
        if not isinstance(other, Quantity):
            return Quantity(self.value * other, self.dims)
        return Quantity(self.value * other.value, _joined(self.dims, other.dims, 1))

    __rmul__ = __mul__

    def __truediv__(self, other: Quantity | float) -> Quantity:
        if not isinstance(other, Quantity):
            return Quantity(self.value / other, self.dims)
        return Quantity(self.value / other.value, _joined(self.dims, other.dims, -1))

    def to(self, unit: str) -> float:
        """The value in that unit, such as `kWh/year`; money in it is written `money`.

        Raises:
            UnitError: the unit is not known or measures something else.
        """
        factor, dims = _unit(unit)
        if dims != self.dims:
            raise UnitError(f"this is {named(self.dims)}, and {unit} is {named(dims)}")
        return self.value / factor

    def _alike(self, other: Quantity) -> float:
        if self.dims != other.dims:
            raise UnitError(f"{named(self.dims)} and {named(other.dims)} cannot be added")
        return other.value


def quantity(value: float, unit: str) -> Quantity:
    """That many of a unit.

    Raises:
        UnitError: the unit is not known.
    """
    factor, dims = _unit(unit)
    return Quantity(value * factor, dims)


def parse(text: str, currency: str = "") -> Quantity:
    """A quantity as people write it: `0.21 EUR/kWh`, `45 %`, `2_400 tokens/s`, `5 years`.

    Args:
        text: a number, then a unit; several units are divided: `EUR/Mtok`.
        currency: the three-letter code that counts as money here.

    Raises:
        UnitError: no such number or unit, or another currency.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UnitError(f"{text!r} is not a number with a unit")
    number = float(found[1].replace("_", ""))
    factor, dims = _unit(found[2] or "", currency)
    if not math.isfinite(number * factor):
        raise UnitError(f"{text!r} is too large")
    return Quantity(number * factor, dims)


def _unit(text: str, currency: str = CURRENCY) -> tuple[float, Dims]:
    factor, dims = 1.0, NUMBER
    for place, name in enumerate(text.split("/")):
        one, of = _simple(name.strip(), currency)
        factor = factor * one if place == 0 else factor / one
        dims = _joined(dims, of, -1 if place else 1)
    return factor, dims


def _simple(name: str, currency: str) -> tuple[float, Dims]:
    name = _SIGNS.get(name, name)
    if name == currency and name:
        return 1.0, _MONEY
    if name in _UNITS and name != CURRENCY:
        return _UNITS[name]
    if _CURRENCY_CODE.fullmatch(name):
        raise UnitError(f"{name} is another currency than {currency}: nothing is converted")
    known = ", ".join(unit for unit in _UNITS if unit and unit != CURRENCY)
    raise UnitError(f"unit {name!r} is not known (known: {known}, and {currency})")


def _joined(first: Dims, second: Dims, sign: int) -> Dims:
    a, b, c, d = (x + sign * y for x, y in zip(first, second, strict=True))
    return a, b, c, d


_NAMES = {
    NUMBER: "a plain number",
    _MONEY: "money",
    _ENERGY: "energy",
    _TIME: "time",
    _TOKENS: "tokens",
    _POWER: "power",
    (1, 0, -1, 0): "money per time",
    (1, -1, 0, 0): "money per energy",
    (1, 0, 0, -1): "money per token",
    (0, 1, 0, -1): "energy per token",
    (0, 0, -1, 1): "tokens per time",
}


def named(dims: Dims) -> str:
    """What these exponents are, in words."""
    words = ("money", "energy", "time", "tokens")
    powers = " ".join(f"{w}^{n}" for w, n in zip(words, dims, strict=True) if n)
    return _NAMES.get(dims, powers)
