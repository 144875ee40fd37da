"""The rules: which facts count against a kernel, and how much. docs/risk.md has them in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from kernleap.risk import lifecycle as life
from kernleap.risk.cve_match import Built, CveAssessment
from kernleap.risk.library import Library
from kernleap.risk.outside import BUILDS, FAILS
from kernleap.risk.profile import HIGH, MODERATE, NOTE, Gap, RiskPoint, RiskProfile
from kernleap.risk.tables import last_day

SOON_DAYS = 180
"""Support that ends within half a year will end within the life of a rollout."""
MANY_PATCHES = 50
MANY_LINES = 10_000
SEVERE_SCORE = 7.0
"""CVSS 3.x and 4.0: 7.0 and above is `high` or `critical`."""
_SHOWN = 5
_TAINTS = {
    0: "a proprietary module", 1: "a module loaded by force", 3: "a module unloaded by force",
    12: "a module from outside the tree", 13: "an unsigned module", 15: "live patched",
}  # fmt: skip


def points_of(profile: RiskProfile, library: Library, today: date) -> tuple[RiskPoint, ...]:
    """Everything that counts, worst first."""
    found = [
        *_lifecycle(profile, library, today),
        *_patches(profile),
        *_configuration(profile, library),
        *_cves(profile.cves, library),
        *_modules(profile),
        *_signature(profile),
        *_hosts(profile),
        *_data(profile, library, today),
    ]
    order = (HIGH, MODERATE, NOTE)
    return tuple(sorted(found, key=lambda point: order.index(point.severity)))


def gaps_of(profile: RiskProfile, library: Library) -> tuple[Gap, ...]:
    """What is not known. An unknown is never taken for a good sign."""
    found = []
    if profile.lifecycle.supported is None:
        why = f"{profile.lifecycle.upstream_why}; {profile.lifecycle.distribution_why}"
        found.append(Gap("lifecycle", f"end of support not known: {why}", _IMPORT))
    elif profile.lifecycle.supported and profile.lifecycle.supported_until is None:
        found.append(Gap("lifecycle", "supported, but until when is not known", _IMPORT))
    if not profile.has_config:
        found.append(
            Gap(
                "configuration",
                "the configuration is not known: neither hardening nor what is built",
                "give the package that holds it too",
            )
        )
    found += _cve_gaps(profile, library)
    if profile.facts.signature.present is None:
        found.append(Gap("signature", profile.facts.signature.note or "not looked at"))
    if profile.facts.patches is None:
        found.append(
            Gap(
                "patches",
                "patches on top of upstream are not counted: they are not in binary packages",
                "--patches DIR|SERIES|DIFF, or a tree: that holds them",
            )
        )
    if profile.modules is None:
        found.append(
            Gap(
                "modules", "no host was looked at for modules from outside the tree", "--hosts FILE"
            )
        )
    for host in profile.hosts:
        found += [Gap("host", f"{host.name}: {note}") for note in host.notes]
    return tuple(found)


_IMPORT = "kernleap risk data import BUNDLE"


def _cve_gaps(profile: RiskProfile, library: Library) -> Iterator[Gap]:
    if library.cves is None:
        yield Gap("cves", "not assessed: no CVE records are at hand", _IMPORT)
    elif not library.cves.records:
        yield Gap("cves", "not assessed: the bundle holds no usable record of the kernel", _IMPORT)
    elif profile.cves is None:
        why = (
            f"{profile.lifecycle.distribution} carries fixes back: the version does not tell them"
            if profile.lifecycle.backports
            else "the upstream version is not known"
        )
        yield Gap("cves", f"not assessed: {why}")
    else:
        yield from _old_records(profile, library)
    if library.cves is not None and library.cves.unreadable:
        words = f"{library.cves.unreadable} records of the bundle could not be read"
        yield Gap("cves", words, "get the bundle again")


def _old_records(profile: RiskProfile, library: Library) -> Iterator[Gap]:
    """Records say nothing of what was found after their day."""
    source = library.sources["cves"]
    if source.as_of is None:
        yield Gap("cves", "the records have no date: what they leave out is not known", _IMPORT)
        return
    series = library.series.get(profile.lifecycle.series)
    out = series.out_by() if series else None
    if out and source.as_of < out:
        text = (
            f"the records end {source.as_of}, before {profile.lifecycle.series} is known to be out"
        )
        yield Gap("cves", f"{text} ({out}): hardly any of its CVEs are in them", _IMPORT)
    elif source.name in profile.stale:
        text = f"the records end {source.as_of}: CVEs published since are not counted"
        yield Gap("cves", text, _IMPORT)


def _lifecycle(profile: RiskProfile, library: Library, today: date) -> Iterator[RiskPoint]:
    item = profile.lifecycle
    table = library.sources.get("series")
    day = table.as_of.isoformat() if table and table.as_of else ""
    if item.upstream == life.UNRELEASED:
        yield RiskPoint(
            HIGH, "lifecycle", f"{item.version} is not released", item.upstream_why, day
        )
    elif item.security:
        if item.upstream in {life.ENDED, life.PRESUMED_ENDED}:
            text = f"upstream's support has {item.upstream.replace('presumed', 'presumably')}"
            yield RiskPoint(
                NOTE, "lifecycle", f"{text}; {item.distribution} goes on", item.upstream_why, day
            )
    elif item.upstream == life.ENDED:
        text = f"nobody supports {item.series} since {item.upstream_end}"
        yield RiskPoint(HIGH, "lifecycle", text, item.upstream_why, day)
    elif item.upstream == life.PRESUMED_ENDED:
        text = f"{item.series} presumably gets no fixes any more"
        yield RiskPoint(HIGH, "lifecycle", text, item.upstream_why, day)
    if item.security is False and item.upstream != life.UNRELEASED:
        yield RiskPoint(
            MODERATE,
            "lifecycle",
            "no security team answers for this package",
            item.distribution_why,
            _date_of(library, "distributions"),
        )
    until = item.supported_until
    if until and (left := (last_day(until) - today).days) <= SOON_DAYS:
        text = f"support ends in {left} days ({until})"
        yield RiskPoint(MODERATE, "lifecycle", text, item.upstream_why, day)


def _patches(profile: RiskProfile) -> Iterator[RiskPoint]:
    patches, marks = profile.facts.patches, profile.build.marks
    if patches is not None:
        lines = patches.added + patches.removed
        many = patches.patches > MANY_PATCHES or lines > MANY_LINES
        if patches.patches:
            tops = ", ".join(f"{name} ({count})" for name, count in patches.subsystems[:_SHOWN])
            text = (
                f"{patches.patches} patches on top of upstream: {lines} lines in "
                f"{patches.files} files; {tops}"
            )
            yield RiskPoint(HIGH if many else MODERATE, "patches", text, patches.source)
        if patches.missing:
            text = f"{len(patches.missing)} patches of the series are missing"
            yield RiskPoint(
                MODERATE, "patches", text, f"{patches.source}: {', '.join(patches.missing[:3])}"
            )
    elif profile.build.patched:
        who = ", ".join(f"{mark.meaning} (`{mark.text}`)" for mark in marks if mark.patched)
        distribution = profile.lifecycle.security is not None
        text = f"carries patches of others, not counted: {who}"
        evidence = "release and package name"
        # A distribution with a security team answers for its own patches.
        severity = NOTE if distribution and profile.lifecycle.security else MODERATE
        yield RiskPoint(severity, "patches", text, evidence)


def _configuration(profile: RiskProfile, library: Library) -> Iterator[RiskPoint]:
    day = _date_of(library, "hardening")
    for weak in profile.weaknesses:
        against = f", the baseline has {weak.baseline}" if weak.worse else ""
        said = f"{weak.name}={weak.value}" if weak.value else weak.name
        where = "configuration" if weak.wanted else "boot parameter"
        yield RiskPoint(weak.weight, "configuration", weak.why, f"{where}: {said}{against}", day)


def _cves(found: CveAssessment | None, library: Library) -> Iterator[RiskPoint]:
    if found is None:
        return
    source = library.sources["cves"]
    day = source.as_of.isoformat() if source.as_of else ""
    evidence = f"{found.records} records of the kernel's CNA, by version {found.version}"
    severe = [
        hit
        for hit in found.open
        if hit.built in {Built.BUILT, Built.MODULE} and (hit.score or 0) >= SEVERE_SCORE
    ]
    if found.open_count:
        text = f"{found.open_count} CVEs open"
        if found.unknown_count:
            text += f" ({found.unknown_count} of them in code not known to be built)"
        if severe:
            names = ", ".join(hit.id for hit in severe[:3])
            text += f", {len(severe)} of them with CVSS {SEVERE_SCORE:g} or more ({names})"
        yield RiskPoint(HIGH if severe else MODERATE, "cves", text, evidence, day)
    if found.compared_with:
        text = (
            f"{found.fixed_count} CVEs of {found.compared_with} fixed, "
            f"{found.introduced_count} new ones"
        )
        worse = found.introduced_count > found.fixed_count
        yield RiskPoint(MODERATE if worse else NOTE, "cves", text, evidence, day)


def _modules(profile: RiskProfile) -> Iterator[RiskPoint]:
    for module in profile.modules or ():
        if module.status == BUILDS:
            continue
        name = f"{module.project} {module.version}".strip()
        hosts = ", ".join(module.hosts)
        text = (
            f"{name} does not build for this kernel (in use on {hosts})"
            if module.status == FAILS
            else f"{name} is in use on {hosts}; not known to build for this kernel"
        )
        severity = HIGH if module.status == FAILS else MODERATE
        yield RiskPoint(severity, "modules", text, module.evidence, module.date)


def _signature(profile: RiskProfile) -> Iterator[RiskPoint]:
    signature = profile.facts.signature
    if signature.present is False:
        text = "the image is not signed: Secure Boot refuses it unless a key of your own signs it"
        yield RiskPoint(MODERATE, "signature", text, signature.note or "no signature in the image")
    elif signature.covers is False:
        text = "the image was changed after it was signed"
        yield RiskPoint(HIGH, "signature", text, "the signed digest is not that of these bytes")


def _hosts(profile: RiskProfile) -> Iterator[RiskPoint]:
    for host in profile.hosts:
        if host.tainted:
            bits = [word for bit, word in _TAINTS.items() if host.tainted >> bit & 1]
            text = f"{host.name} runs a tainted kernel: {', '.join(bits) or host.tainted}"
            yield RiskPoint(NOTE, "host", text, f"taint mask {host.tainted} of {host.release}")
        if host.livepatches and profile.livepatch is False:
            text = f"{host.name} uses live patches; this kernel takes none"
            yield RiskPoint(MODERATE, "host", text, ", ".join(host.livepatches))


def _data(profile: RiskProfile, library: Library, today: date) -> Iterator[RiskPoint]:
    for name in profile.stale:
        source = library.sources[name]
        yield RiskPoint(
            NOTE,
            "data",
            f"the data on {name} is stale: what it says may no longer hold",
            source.said(today),
            source.as_of.isoformat() if source.as_of else "",
        )
    series = library.series.get(profile.lifecycle.series)
    if series and series.checked and (age := (today - series.checked).days) > SOON_DAYS:
        text = f"the end of support of {series.name} was last checked {age} days ago"
        yield RiskPoint(NOTE, "data", text, "series.toml", series.checked.isoformat())


def _date_of(library: Library, table: str) -> str:
    source = library.sources.get(table)
    return source.as_of.isoformat() if source and source.as_of else ""
