"""A risk profile as plain data, for `--json` and for whoever reads it by program."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kernleap.risk.cve_match import CveAssessment, CveHit
from kernleap.risk.profile import RiskProfile

SCHEMA = 1


def to_json(profile: RiskProfile) -> dict[str, Any]:
    """Everything in a profile. `null` means not known."""
    life = profile.lifecycle
    return {
        "schema": SCHEMA,
        "arm": profile.arm,
        "ref": profile.facts.ref,
        "release": profile.facts.release,
        "sha256": profile.facts.kernel_sha256,
        "day": profile.today,
        "level": profile.level,
        "level_text": profile.level_text,
        "points": [asdict(point) for point in profile.points],
        "gaps": [asdict(gap) for gap in profile.gaps],
        "lifecycle": {
            "version": str(life.version) if life.version else None,
            "series": life.series or None,
            "released": life.released or None,
            "lts": life.lts,
            "upstream": life.upstream,
            "upstream_end": life.upstream_end,
            "upstream_why": life.upstream_why,
            "distribution": life.distribution or None,
            "distribution_end": life.distribution_end,
            "security_support": life.security,
            "distribution_why": life.distribution_why,
            "supported_until": life.supported_until,
        },
        "build": asdict(profile.build) | {"patched": profile.patched},
        "packages": [asdict(package) for package in profile.facts.packages],
        "patches": asdict(profile.facts.patches) if profile.facts.patches else None,
        "signature": asdict(profile.facts.signature) | {"signed": profile.signed},
        "lockdown": profile.lockdown,
        "livepatch": profile.livepatch,
        "module_signatures": profile.module_signatures,
        "has_config": profile.has_config,
        "weaknesses": [asdict(weak) | {"worse": weak.worse} for weak in profile.weaknesses],
        "confounders": [asdict(item) for item in profile.confounders],
        "cves": _cves(profile.cves) if profile.cves else None,
        "modules": None if profile.modules is None else [asdict(m) for m in profile.modules],
        "hosts": [asdict(host) for host in profile.hosts],
        "data": list(profile.data),
        "stale": list(profile.stale),
        "notes": list(profile.facts.notes),
    }


def _cves(found: CveAssessment) -> dict[str, Any]:
    return {
        "version": found.version,
        "records": found.records,
        "open": found.open_count,
        "open_not_built": found.not_built_count,
        "open_unknown": found.unknown_count,
        "fixed": found.fixed_count,
        "introduced": found.introduced_count,
        "undecidable": found.undecidable,
        "unreadable": found.unreadable,
        "rejected": found.rejected,
        "compared_with": found.compared_with or None,
        "open_records": [_hit(hit) for hit in found.open],
        "fixed_records": [_hit(hit) for hit in found.fixed],
        "introduced_records": [_hit(hit) for hit in found.introduced],
    }


def _hit(hit: CveHit) -> dict[str, Any]:
    return asdict(hit) | {"built": hit.built.value}
