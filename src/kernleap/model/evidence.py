"""What is known of a candidate besides its metrics: what constraints are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def worst(items: Sequence[CandidateEvidence]) -> CandidateEvidence:
    """One candidate of several kernels: in everything as good as the worst of them.

    A fact that is not known of one of them is not known of all.
    """
    if len(items) == 1:
        return items[0]
    if not items:
        return CandidateEvidence()
    risks = [item.risk for item in items]
    ranked = [risk for risk in risks if risk in RISK_LEVELS]
    days = [item.pays_back_days for item in items if item.pays_back_days is not None]
    return CandidateEvidence(
        supported_until=_least([item.supported_until for item in items]),
        longterm=_all([item.longterm for item in items]),
        extra_patches=_most([item.extra_patches for item in items]),
        open_cves=_most([item.open_cves for item in items]),
        risk=max(ranked, key=RISK_LEVELS.index) if len(ranked) == len(items) else None,
        image_signed=_all([item.image_signed for item in items]),
        packages_signed=_all([item.packages_signed for item in items]),
        fetched=_any([item.fetched for item in items]),
        pays_back_days=max(days) if len(days) == len(items) else None,
        sources={name: text for item in reversed(items) for name, text in item.sources.items()},
    )


def _least(values: Sequence[str | None]) -> str | None:
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _most(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _all(values: Sequence[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _any(values: Sequence[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False
