"""The tables of a policy that set constraints: `[lifecycle]`, `[cost]`, `[sovereignty]`."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.evidence import RISK_LEVELS
from kernleap.strict_toml import Table

TABLES = ("lifecycle", "cost", "sovereignty")
_MOST = 1_000_000
_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a candidate must be. `None` and False mean *not asked*; see default.toml."""

    supported_days: int | None = None
    longterm: bool = False
    max_extra_patches: int | None = None
    max_open_cves: int | None = None
    max_risk: str | None = None
    image_signed: bool = False
    pays_back_days: float | None = None
    offline: bool = False
    signed_packages: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return self != Constraints()


def read(top: Table) -> Constraints:
    """The constraints of a policy.

    Raises:
        UsageError: an unknown key, or a value of the wrong type or range.
    """
    lifecycle, cost, sovereignty = (top.table(name) for name in TABLES)
    lifecycle.only(
        "supported_days", "longterm", "max_extra_patches", "max_open_cves", "max_risk",
        "image_signed",
    )  # fmt: skip
    cost.only("pays_back_days")
    sovereignty.only("offline", "signed_packages")
    return Constraints(
        supported_days=_whole(lifecycle, "supported_days", _DAYS),
        longterm=_flag(lifecycle, "longterm"),
        max_extra_patches=_whole(lifecycle, "max_extra_patches", _MOST),
        max_open_cves=_whole(lifecycle, "max_open_cves", _MOST),
        max_risk=lifecycle.choice("max_risk", RISK_LEVELS) if lifecycle.has("max_risk") else None,
        image_signed=_flag(lifecycle, "image_signed"),
        pays_back_days=cost.number("pays_back_days", 0.0, _DAYS)
        if cost.has("pays_back_days")
        else None,
        offline=_flag(sovereignty, "offline"),
        signed_packages=_flag(sovereignty, "signed_packages"),
    )


def _whole(table: Table, key: str, most: int) -> int | None:
    return table.integer(key, 0, most) if table.has(key) else None


def _flag(table: Table, key: str) -> bool:
    return table.has(key) and table.flag(key)
