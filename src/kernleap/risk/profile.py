"""The risk of one kernel, in full: every fact, every point that counts, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.evidence import CandidateEvidence
from kernleap.model.kernel_facts import HostFacts, KernelFacts
from kernleap.model.result import Confounder
from kernleap.model.risk import RiskSummary
from kernleap.risk.build import Build
from kernleap.risk.cve_match import CveAssessment
from kernleap.risk.hardening import Weakness
from kernleap.risk.lifecycle import Lifecycle
from kernleap.risk.outside import OutsideModule

HIGH = "high"
MODERATE = "moderate"
NOTE = "note"
LOW = "low"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """One thing that counts, with what it rests on."""

    severity: str
    """HIGH, MODERATE or NOTE."""
    area: str
    """lifecycle, patches, configuration, cves, modules, signature, host or data."""
    text: str
    evidence: str
    date: str = ""
    """ISO date of the evidence; "" where it is read from the kernel itself."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be assessed, and what would help."""

    area: str
    text: str
    remedy: str = ""


ESSENTIAL = ("lifecycle", "configuration", "cves", "signature")
"""Areas that must be known before a risk can be called low."""


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """One kernel's risk. Everything a policy may ask is a field or a property."""

    arm: str
    facts: KernelFacts
    lifecycle: Lifecycle
    build: Build
    has_config: bool
    weaknesses: tuple[Weakness, ...]
    confounders: tuple[Confounder, ...]
    cves: CveAssessment | None
    modules: tuple[OutsideModule, ...] | None
    """None where no host was given."""
    hosts: tuple[HostFacts, ...]
    lockdown: str
    livepatch: bool | None
    module_signatures: str
    """`enforced`, `checked`, `off` or `unknown`."""
    points: tuple[RiskPoint, ...]
    gaps: tuple[Gap, ...]
    data: tuple[str, ...]
    """Each table with its date, age and staleness, in words."""
    stale: tuple[str, ...]
    """Names of tables that are too old."""
    today: str

    @property
    def level(self) -> str:
        """`high` or `moderate` by the worst point; else `low`, or `unknown` with essential gaps."""
        severities = {point.severity for point in self.points}
        for severity in (HIGH, MODERATE):
            if severity in severities:
                return severity
        return UNKNOWN if any(gap.area in ESSENTIAL for gap in self.gaps) else LOW

    @property
    def level_text(self) -> str:
        """The level in words: `at least moderate` where something essential is not known."""
        missing = list(dict.fromkeys(gap.area for gap in self.gaps if gap.area in ESSENTIAL))
        if not missing or self.level == HIGH:
            return self.level
        said = f"({', '.join(missing)} not assessed)"
        return f"unknown {said}" if self.level == UNKNOWN else f"at least {self.level} {said}"

    @property
    def signed(self) -> bool | None:
        """Whether the image carries a signature over these bytes; None if that is not known."""
        signature = self.facts.signature
        if signature.present and signature.covers is not None:
            return signature.covers
        return signature.present

    @property
    def supported_until(self) -> str | None:
        """Until when somebody supports it, as YYYY-MM-DD or YYYY-MM; None if not known."""
        return self.lifecycle.supported_until

    @property
    def extra_patches(self) -> int | None:
        """Patches on top of upstream; None where they could not be counted."""
        return self.facts.patches.patches if self.facts.patches else None

    @property
    def patched(self) -> bool | None:
        """Whether there are patches of others: counted, or by the kernel's marks."""
        if self.facts.patches is not None:
            return self.facts.patches.patches > 0
        return True if self.build.patched else None

    def in_area(self, area: str) -> tuple[RiskPoint, ...]:
        """The points of one area."""
        return tuple(point for point in self.points if point.area == area)

    def evidence(self) -> CandidateEvidence:
        """What a policy's constraints are held against, each with where it comes from."""
        by_area: dict[str, str] = {}
        for point in self.points:
            by_area.setdefault(point.area, f"{point.evidence}, {point.date}".rstrip(", "))
        life = self.lifecycle
        sources = {
            "supported_until": life.upstream_why
            if life.upstream == "supported"
            else life.distribution_why,
            "longterm": life.upstream_why,
            "extra_patches": self.facts.patches.source if self.facts.patches else "",
            "open_cves": by_area.get("cves", ""),
            "risk": "; ".join(point.text for point in self.points if point.severity != NOTE)[:300],
            "image_signed": ", ".join(self.facts.signature.signers) or self.facts.signature.note,
        }
        signed = [package.signed for package in self.facts.packages]
        return CandidateEvidence(
            supported_until=life.end,
            longterm=life.lts,
            extra_patches=self.extra_patches,
            open_cves=self.cves.open_count if self.cves else None,
            risk=None if self.level == UNKNOWN else self.level,
            image_signed=self.signed,
            # That a package carries no signature is certain; that one was checked never is, here.
            packages_signed=False if signed and False in signed else None,
            sources={name: text for name, text in sources.items() if text},
        )

    def summary(self) -> RiskSummary:
        """The few words that other parts need."""
        return RiskSummary(
            self.arm,
            self.level,
            self.cves.open_count if self.cves else None,
            self.lifecycle.end,
            self.extra_patches,
            tuple(p.text for p in self.points if p.severity != NOTE)[:5],
        )
