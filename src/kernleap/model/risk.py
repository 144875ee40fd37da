"""What is taken on with a kernel, in few words; kernleap.risk says it in many."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RiskSummary:
    """The risk of one arm, as other parts (trade-offs, policies) need it.

    `None` always means *not known*, never *none*.

    Attributes:
        arm: name of the arm, or the reference where there is no run.
        level: `low`, `moderate`, `high`, or `unknown` (docs/risk.md has the rules).
        open_cves: CVEs open in this kernel's version that its configuration builds or may build.
        eol: ISO date (or YYYY-MM) until which somebody supports this kernel.
        extra_patches: patches on top of upstream.
        notes: the weightiest reasons, worst first.
    """

    arm: str
    level: str
    open_cves: int | None
    eol: str | None
    extra_patches: int | None
    notes: tuple[str, ...] = ()
