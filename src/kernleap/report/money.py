"""Figures of money, energy and time in words: how many digits, where the interval stands."""

from __future__ import annotations

import math

from kernleap.cost.ratio import Figure, Ratio
from kernleap.report.text import MINUS, NOT_A_NUMBER, interval, percent

NEVER = "never"


def amount(value: float) -> str:
    """`176,796`, `12.35`, `0.2828`: four digits that matter, more only in large amounts."""
    if not math.isfinite(value):
        return NOT_A_NUMBER
    size = abs(value)
    sign = MINUS if value < 0 else ""
    if size >= 1000:
        return f"{sign}{size:,.0f}"
    if size == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(size)))
    return f"{sign}{size:.{min(digits, 12)}f}"


def difference(value: float) -> str:
    """The same with its sign."""
    return amount(value) if value <= 0 or not math.isfinite(value) else f"+{amount(value)}"


def with_interval(figure: Figure, *, signed: bool = False) -> str:
    """`0.2764 (0.2730 to 0.2800)`; the value alone where nothing about it is uncertain."""
    form = difference if signed else amount
    if figure.certain:
        return form(figure.value)
    return f"{form(figure.value)} ({form(figure.low)} to {form(figure.high)})"


def days(value: float) -> str:
    """`195 days`, `9.0 years`, `never`."""
    if math.isinf(value):
        return NEVER
    sign, size = MINUS if value < 0 else "", abs(value)
    if size >= 3 * 365:
        years = size / 365
        return f"{sign}{years:,.1f} years" if years < 100 else f"{sign}{years:,.0f} years"
    return f"{sign}{size:,.0f} days"


def payback(figure: Figure) -> str:
    """`195 days (126 days to 443 days)`."""
    if figure.certain:
        return days(figure.value)
    return f"{days(figure.value)} ({days(figure.low)} to {days(figure.high)})"


def change(ratio: Ratio) -> str:
    """`+2.30 % (1.0100 to 1.0360)`."""
    return f"{percent(ratio.value)} ({interval(ratio.low, ratio.high)})"
