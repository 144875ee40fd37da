"""The sensitivity tables of a cost report."""

from __future__ import annotations

from collections.abc import Callable

from kernleap.cost.assemble import CostResult
from kernleap.cost.fleet import Path
from kernleap.cost.sensitivity import Swing
from kernleap.model.units import NUMBER, Quantity
from kernleap.report.money import amount, difference
from kernleap.report.section import Column, Row, SectionView, TableView
from kernleap.report.text import clean, plural

_ROWS = 12


def sensitivity(result: CostResult) -> SectionView:
    """What each input alone does to the bill, and to each kernel's difference."""
    money = result.fleet.currency
    tables = [_tornado(result, f"{money}/Mtok today", result.swings, amount)]
    for arm in result.arms:
        for title, swings in (
            ("marginal", arm.swings_marginal), ("fully loaded", arm.swings_loaded),
        ):  # fmt: skip
            if swings:
                name = f"{money} a year, {clean(arm.arm, 60)}, {title}"
                tables.append(_tornado(result, name, swings, difference))
    return SectionView(
        "sensitivity",
        "What the answer hangs on",
        (f"Each input alone, at its own range or ±{result.vary:.0%}; the widest swings first.",),
        tuple(tables),
        ("The intervals above carry what was measured, and none of these.",),
    )


def _tornado(
    result: CostResult, title: str, swings: tuple[Swing, ...], form: Callable[[float], str]
) -> TableView:
    def at(value: float | None) -> str:
        return "cannot serve" if value is None else form(value)

    rows = [
        Row(
            (
                _named(result, swing.path),
                f"{_input(result, swing.path, swing.low)} to "
                f"{_input(result, swing.path, swing.high)}",
                "own" if swing.given else "",
                at(swing.at_low),
                at(swing.at_high),
            )
        )
        for swing in swings[:_ROWS]
    ]
    left = len(swings) - len(rows)
    return TableView(
        title,
        (Column("input"), Column("from, to"), Column("range"), Column("at the low end", True),
         Column("at the high end", True)),
        tuple(rows),
        f"{plural(left, 'input')} with smaller swings not shown; --json has them." if left else "",
    )  # fmt: skip


def _named(result: CostResult, path: Path) -> str:
    if path[0] == "pool":
        return f"{clean(result.fleet.pool[int(path[1]) - 1].name, 40)}: {path[2]}"
    return " ".join(path)


def input_unit(path: Path, value: Quantity) -> str:
    """The unit an input is shown in."""
    if value.dims == NUMBER:
        plain = path[-1] == "pue" or path[0] == "effect" or path[-1].endswith("per_year")
        return "" if plain else "%"
    key = path[-1]
    special = {
        "life": "years", "rate": "money/h", "rented": "money/h", "demand": "Mtok/day",
        "throughput": "tokens/s", "tariff": "money/kWh",
    }  # fmt: skip
    by_dims = {
        (1, 0, 0, 0): "money", (1, 0, -1, 0): "money/year", (1, 0, 0, -1): "money/Mtok",
        (0, 1, -1, 0): "W", (0, 0, 1, 0): "h",
    }  # fmt: skip
    return special.get(key) or by_dims[value.dims]


def _input(result: CostResult, path: Path, value: Quantity) -> str:
    unit = input_unit(path, value)
    shown = unit.replace("money", result.fleet.currency)
    return f"{value.to(unit):,.6g} {shown}".rstrip()
