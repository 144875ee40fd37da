"""What a report shows besides its metrics: risk, cost, and the last link of the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kernleap.cost.assemble import CostResult
from kernleap.report import cost as cost_view
from kernleap.report.cost_json import document
from kernleap.report.parts import ChainLink
from kernleap.report.risk import RiskView, risk_view
from kernleap.report.section import SectionView
from kernleap.report.text import clean
from kernleap.risk.as_json import to_json
from kernleap.risk.profile import RiskProfile

_NO_FLEET = "no fleet given; --fleet FLEET prices what was timed"


@dataclass(frozen=True, slots=True)
class Beyond:
    """Risk and cost of a run, ready to lay out; each may be absent.

    `money` has the money link of candidates by arm; `risk_data` and `cost_data` are the same
    for programs (`kernleap risk --json`, `kernleap cost --json`).
    """

    risk: RiskView | None = None
    sections: tuple[SectionView, ...] = ()
    money: Mapping[str, ChainLink] = field(default_factory=dict)
    risk_data: tuple[dict[str, Any], ...] = ()
    cost_data: dict[str, Any] | None = None

    def link(self, arm: str) -> ChainLink:
        """The money link of a candidate."""
        return self.money.get(arm) or ChainLink("Money", "", _NO_FLEET, measured=False)


def beyond(profiles: Mapping[str, RiskProfile], cost: CostResult | None = None) -> Beyond:
    """From what risk and cost found; an empty mapping and None where they were not asked."""
    return Beyond(
        risk=risk_view(profiles.values()),
        sections=cost_view.sections(cost) if cost else (),
        money={arm.arm: _money(cost, arm.arm) for arm in cost.arms} if cost else {},
        risk_data=tuple(to_json(profile) for profile in profiles.values()),
        cost_data=document(cost) if cost else None,
    )


def _money(cost: CostResult, arm: str) -> ChainLink:
    one = next(a for a in cost.arms if a.arm == arm)
    # The link stands under its arm's name already.
    text = cost_view.sentence(cost, one).removeprefix(f"{clean(arm, 80)}: ")
    grade = "timed" if one.change else ""
    return ChainLink("Money", grade, text, measured=one.change is not None)
