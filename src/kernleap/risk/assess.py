"""From facts and tables to a risk profile. Pure: the day is an argument, nothing is read here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from kernleap.model.kconfig import parse
from kernleap.model.kernel_facts import HostFacts, KernelFacts
from kernleap.model.result import Confounder
from kernleap.risk.build import build_of
from kernleap.risk.cve_match import (
    Conditions,
    CveAssessment,
    assess_cves,
    conditions_by_prefix,
    files_of_interest,
)
from kernleap.risk.hardening import weak_parameters, weaknesses
from kernleap.risk.library import Library
from kernleap.risk.lifecycle import Lifecycle, lifecycle
from kernleap.risk.outside import outside_modules
from kernleap.risk.points import gaps_of, points_of
from kernleap.risk.profile import RiskProfile


@dataclass(frozen=True, slots=True)
class Subject:
    """One kernel to judge: its facts, and its configuration as text where that is known.

    `conditions` says for source files what they depend on, read from a tree (kernel.kbuild);
    files that it lacks are looked up in the shipped table. `confounders` are those of
    kernleap.judge, against the baseline.
    """

    facts: KernelFacts
    kconfig: str | None = None
    confounders: tuple[Confounder, ...] = ()
    conditions: Conditions | None = None


def assess(
    subjects: Sequence[Subject],
    library: Library,
    *,
    hosts: Sequence[HostFacts] | None = None,
    today: date,
) -> tuple[RiskProfile, ...]:
    """Profiles of all kernels; each but the first is compared with the first."""
    if not subjects:
        return ()
    lives = [lifecycle(subject.facts, library, today) for subject in subjects]
    configs = [parse(s.kconfig) if s.kconfig is not None else None for s in subjects]
    return tuple(
        _profile(
            subject,
            library,
            (lives[number], configs[number]),
            (lives[0], configs[0]) if number else (None, None),
            hosts=hosts,
            today=today,
        )
        for number, subject in enumerate(subjects)
    )


def sources_of_interest(subjects: Sequence[Subject], library: Library, today: date) -> list[str]:
    """Source files whose conditions matter to these kernels: what to look up in a tree."""
    if library.cves is None:
        return []
    lives = (lifecycle(subject.facts, library, today) for subject in subjects)
    versions = [life.version for life in lives if life.version]
    return sorted(files_of_interest(library.cves, versions))


def _profile(
    subject: Subject,
    library: Library,
    here: tuple[Lifecycle, Mapping[str, str] | None],
    there: tuple[Lifecycle | None, Mapping[str, str] | None],
    *,
    hosts: Sequence[HostFacts] | None,
    today: date,
) -> RiskProfile:
    facts = subject.facts
    (life, config), (base_life, base_config) = here, there
    build = build_of(facts, config, life.series)
    weak = weak_parameters(facts.cmdline, library)
    if config is not None:
        weak += weaknesses(config, base_config, library, facts.arch, life.version)
    cves = _cves(subject, life, base_life, config, library)
    modules = None
    if hosts is not None:
        modules = outside_modules(facts, life.series, hosts, library)
    profile = RiskProfile(
        arm=facts.arm,
        facts=facts,
        lifecycle=life,
        build=build,
        has_config=config is not None,
        weaknesses=weak,
        confounders=subject.confounders,
        cves=cves,
        modules=modules,
        hosts=tuple(hosts or ()),
        lockdown=_lockdown(config),
        livepatch=None if config is None else config.get("LIVEPATCH") == "y",
        module_signatures=_module_signatures(config),
        points=(),
        gaps=(),
        data=tuple(source.said(today) for source in library.sources.values()),
        stale=tuple(s.name for s in library.sources.values() if s.stale(today)),
        today=today.isoformat(),
    )
    return _with_points(profile, library, today)


def _with_points(profile: RiskProfile, library: Library, today: date) -> RiskProfile:
    return replace(
        profile,
        points=points_of(profile, library, today),
        gaps=gaps_of(profile, library),
    )


def _cves(
    subject: Subject,
    life: Lifecycle,
    base: Lifecycle | None,
    config: Mapping[str, str] | None,
    library: Library,
) -> CveAssessment | None:
    """None where it cannot be said: no records, no version, or a version that tells nothing."""
    if library.cves is None or not library.cves.records or life.version is None or life.backports:
        return None
    versions = [life.version]
    there = None
    if base and base.version and not base.backports:
        there = base.version
        versions.append(there)
    table = conditions_by_prefix(files_of_interest(library.cves, versions), library.paths)
    exact = {path: known for path, known in (subject.conditions or {}).items() if known is not None}
    return assess_cves(
        library.cves,
        life.version,
        kconfig=config,
        arch=subject.facts.arch,
        conditions={**table, **exact},
        baseline=there,
    )


def _lockdown(config: Mapping[str, str] | None) -> str:
    if config is None:
        return "unknown"
    if config.get("SECURITY_LOCKDOWN_LSM") != "y":
        return "not built"
    for option, words in (
        ("LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY", "confidentiality, always"),
        ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "integrity, always"),
    ):
        if config.get(option) == "y":
            return words
    if config.get("LOCK_DOWN_IN_EFI_SECURE_BOOT") == "y":
        return "under Secure Boot"
    return "built, off until asked for"


def _module_signatures(config: Mapping[str, str] | None) -> str:
    if config is None:
        return "unknown"
    if config.get("MODULES") == "n":
        return "enforced"
    if config.get("MODULE_SIG") != "y":
        return "off"
    return "enforced" if config.get("MODULE_SIG_FORCE") == "y" else "checked"
