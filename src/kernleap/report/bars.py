"""Rows of a function table: groups, their largest functions, what is left, and the total."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kernleap.report.explain import Explanation
from kernleap.report.text import plural, signed


@dataclass(frozen=True, slots=True)
class BarRow:
    """One row. `kind` is `total`, `group`, `function`, `more` (of a group) or `rest`.

    Group rows and the rest add up to the total; the functions of a group, with its *more* row,
    add up to the group.
    """

    kind: str
    name: str
    delta: float
    delta_text: str


def bar_rows(found: Explanation, limit: int, most_groups: int) -> tuple[BarRow, ...]:
    """The rows for an explanation, naming its `limit` largest functions.

    Beyond `most_groups` the smallest groups are put together as one row.
    """
    shown = {id(row) for row in found.largest[:limit]}
    rows = [_row("total", "total", found.total)]
    for group in found.groups[:most_groups]:
        rows.append(_row("group", group.name, group.delta))
        named = [r for r in group.functions if id(r) in shown]
        rows += [_row("function", r.name, r.delta) for r in named]
        hidden = [r for r in group.functions if id(r) not in shown]
        if hidden and named:
            sum_of_hidden = math.fsum(r.delta for r in hidden)
            rows.append(_row("more", plural(len(hidden), "more function"), sum_of_hidden))
    if others := found.groups[most_groups:]:
        name = plural(len(others), "other subsystem")
        rows.append(_row("group", name, math.fsum(g.delta for g in others)))
    if found.rest:
        rows.append(_row("rest", "smaller changes, not listed", found.rest))
    return tuple(rows)


def _row(kind: str, name: str, delta: float) -> BarRow:
    return BarRow(kind, name, delta, signed(delta))
