"""What is known of a candidate besides its metrics: what constraints are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RISK_LEVELS = ("low", "moderate", "high")
"""From better to worse; a level that is not one of these is not known."""


@dataclass(frozen=True, slots=True)
class CandidateEvidence:
    """Facts about one candidate arm. `None` always means *not known*, never *none*.

    Attributes:
        supported_until: ISO date (or YYYY-MM: that month's first day counts) until which
            somebody supports this kernel.
        longterm: whether its series is a longterm one.
        extra_patches: patches on top of upstream.
        open_cves: CVEs open in it that its configuration builds or may build.
        risk: `low`, `moderate` or `high`.
        image_signed: whether the boot image carries a signature that covers its bytes.
        packages_signed: whether its packages came with a signature that was checked.
        fetched: whether anything of it was fetched from a network for this run.
        pays_back_days: (low, middle, high) days until the rollout has paid for itself; infinite
            where it never does.
        sources: for any of these names, where the fact comes from and of when it is.
    """

    supported_until: str | None = None
    longterm: bool | None = None
    extra_patches: int | None = None
    open_cves: int | None = None
    risk: str | None = None
    image_signed: bool | None = None
    packages_signed: bool | None = None
    fetched: bool | None = None
    pays_back_days: tuple[float, float, float] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
