"""Kernels and configurations side by side, as a section of a report and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from kernleap.cost.effect import Measured
from kernleap.cost.fleet import Fleet
from kernleap.cost.option import Option
from kernleap.cost.ratio import Ratio
from kernleap.cost.tradeoff import Table
from kernleap.report.money import amount, difference
from kernleap.report.section import Column, Row, SectionView, TableView
from kernleap.report.text import clean, percent, plural

SCHEMA = "kernleap-tradeoff/1"
UNKNOWN = "not known"
_TONES = {"better": "good", "dominated": "quiet", "open": ""}


def sections(
    tables: tuple[Table, ...], fleet: Fleet | None, slack: float
) -> tuple[SectionView, ...]:
    """A section for each baseline."""
    return tuple(
        _section(table, fleet, slack, f"tradeoff-{place}") for place, table in enumerate(tables, 1)
    )


def _section(table: Table, fleet: Fleet | None, slack: float, anchor: str) -> SectionView:
    money = f"{fleet.currency} a year, {fleet.accounting}" if fleet else "bill"
    columns = (
        Column("kernel"),
        Column("throughput [timed]", True),
        Column("kernel/token [counted]", True),
        Column("worst p99 [timed]", True),
        Column(money, True),
        Column("J/token", True),
        Column("risk"),
        Column("effort"),
        Column("standing"),
    )
    winners = [clean(o.label, 60) for o in table.options if o.standing == "better"]
    lead = (
        f"Better than another row in something and proved no worse in anything: "
        f"{', '.join(winners)}."
        if winners
        else "No row is proved better than another.",
    )
    return SectionView(
        id=anchor,
        title=f"Trade-offs against {clean(table.baseline, 80)}",
        lead=lead,
        tables=(
            TableView(
                f"{plural(len(table.options), 'row')} of {plural(len(table.runs), 'run')}, "
                "changes with 95 % intervals",
                columns,
                tuple(Row(_cells(o, table), _TONES[o.standing]) for o in table.options),
            ),
        ),
        notes=_notes(table, fleet, slack),
    )


def _cells(option: Option, table: Table) -> tuple[str, ...]:
    name = clean(option.label, 60)
    if option.is_baseline:
        ratios = ("gain", "counted", "tail", "per_year", "energy")
        known = (any(getattr(o, field) for o in table.options) for field in ratios)
        same = ("baseline" if one else UNKNOWN for one in known)
        return (name, *same, _risk(option), _effort(option), _standing(option))
    energy = UNKNOWN
    if option.energy:
        energy = f"{_change(option.energy[0])} {option.energy[1]}"
    tail = UNKNOWN
    if option.tail:
        where = clean(option.tail.metric.quantity.removesuffix("_p99"), 30)
        tail = f"{where} {_change(option.tail.ratio)}"
    return (
        name, _effect(option.gain), _effect(option.counted), tail, _bill(option), energy,
        _risk(option), _effort(option), _standing(option),
    )  # fmt: skip


def _effect(effect: Measured | None) -> str:
    return UNKNOWN if effect is None else _change(effect.ratio)


def _change(ratio: Ratio) -> str:
    """`+5.00 % (+4.10 to +5.90)`."""
    ends = " to ".join(percent(end).removesuffix(" %") for end in (ratio.low, ratio.high))
    return f"{percent(ratio.value)} ({ends})"


def _bill(option: Option) -> str:
    money = option.per_year
    if money is None:
        return UNKNOWN
    ends = f"{difference(money.low)} to {difference(money.high)}"
    return f"{difference(money.value)} ({ends})"


def _risk(option: Option) -> str:
    risk = option.risk
    if risk is None or risk.level == "unknown":
        return UNKNOWN
    facts = []
    if risk.open_cves is not None:
        facts.append(plural(risk.open_cves, "open CVE"))
    if risk.extra_patches is not None:
        facts.append(plural(risk.extra_patches, "patch", "patches"))
    if risk.eol is not None:
        facts.append(f"until {clean(risk.eol, 20)}")
    return f"{clean(risk.level, 20)} ({', '.join(facts)})" if facts else clean(risk.level, 20)


def _effort(option: Option) -> str:
    effort = option.effort
    if effort is None:
        return UNKNOWN
    return effort.kind if effort.hours is None else f"{effort.kind}: {amount(effort.hours)} h"


def _standing(option: Option) -> str:
    if option.dominated_by:
        return f"dominated by {', '.join(clean(n, 60) for n in option.dominated_by)}"
    if option.dominates:
        return f"better than {', '.join(clean(n, 60) for n in option.dominates)}"
    return "open"


def _notes(table: Table, fleet: Fleet | None, slack: float) -> tuple[str, ...]:
    notes = [
        "A row dominates another where no criterion that either has is unknown or worse by more "
        f"than {slack:.1%}, and the intervals of one are apart. Not known is not zero: it proves "
        "nothing, and leaves a row open.",
    ]
    if fleet is None:
        notes.append("Bill, derived energy and hours need a fleet: --fleet FILE.")
    elif any(o.bill is None and not o.is_baseline for o in table.options):
        notes.append("Only timed throughput has a price; counts have none.")
    if all(_risk(o) == UNKNOWN for o in table.options):
        notes.append("The risk of no row is known; the standings leave it out.")
    if any(o.run for o in table.options):
        notes.append("Rows with a run's id were measured again in another run; nothing is pooled.")
    return tuple(notes)


def document(tables: tuple[Table, ...], fleet: Fleet | None, slack: float) -> dict[str, Any]:
    """The same as JSON; ratios are candidate / baseline, what is not known is null."""
    return {
        "schema": SCHEMA,
        "currency": fleet.currency if fleet else None,
        "accounting": fleet.accounting if fleet else None,
        "slack": slack,
        "tables": [
            {
                "baseline": table.baseline,
                "runs": list(table.runs),
                "options": [_option(option) for option in table.options],
            }
            for table in tables
        ],
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "arm": option.arm,
        "run": option.run or None,
        "baseline": option.is_baseline,
        "throughput": _measured(option.gain),
        "counted": _measured(option.counted),
        "tail": _measured(option.tail),
        "bill_ratio": _ratio(option.bill),
        "per_year": _ratio(option.per_year),
        "energy": {"is": option.energy[1], **(_ratio(option.energy[0]) or {})}
        if option.energy
        else None,
        "risk": asdict(option.risk) if option.risk else None,
        "effort": asdict(option.effort) if option.effort else None,
        "standing": option.standing,
        "dominated_by": list(option.dominated_by),
        "dominates": list(option.dominates),
    }


def _measured(effect: Measured | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    shown = _ratio(effect.ratio) or {}
    return {"metric": effect.name, "grade": effect.metric.grade.value, **shown}


def _ratio(ratio: Ratio | None) -> dict[str, float | None] | None:
    if ratio is None:
        return None
    ends = {"value": ratio.value, "low": ratio.low, "high": ratio.high}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()}
