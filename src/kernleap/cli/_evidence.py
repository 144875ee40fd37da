"""What is known of candidates besides their metrics, gathered for policies and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kernleap.model.evidence import CandidateEvidence, worst

if TYPE_CHECKING:
    from kernleap.cost.assemble import CostResult
    from kernleap.model.run import RunData
    from kernleap.risk.profile import RiskProfile

_FROM_A_NETWORK = frozenset({"debian"})
"""Sources whose kernels come from an archive, through its signed index."""


def evidence_of(
    run: RunData, profiles: Mapping[str, RiskProfile], cost: CostResult | None
) -> dict[str, CandidateEvidence]:
    """By arm. An arm with a kernel for each of several architectures is as good as its worst."""
    days = cost.pays_back() if cost else {}
    found = {}
    for arm in run.plan.arms:
        kernels = [item for item in run.plan.inputs if item.arm == arm.name]
        known = [
            _with_origin(profiles[item.key].evidence(), run, item.provenance)
            for item in kernels
            if item.key in profiles
        ]
        found[arm.name] = replace(worst(known), pays_back_days=days.get(arm.name))
    return found


def _with_origin(
    known: CandidateEvidence, run: RunData, provenance: Mapping[str, str]
) -> CandidateEvidence:
    """Whether its packages were fetched, and by a signed index.

    What is kept out of the network by --offline, or is a file of one's own, was not fetched.
    """
    from_archive = provenance.get("source") in _FROM_A_NETWORK
    return replace(
        known,
        fetched=from_archive and "--offline" not in run.plan.command,
        packages_signed=True if from_archive else known.packages_signed,
    )
