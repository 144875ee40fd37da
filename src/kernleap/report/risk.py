"""Risk as a page or a terminal shows it: one column a kernel, every point with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kernleap.report.text import clean, plural
from kernleap.risk.profile import RiskProfile

NOT_KNOWN = "not known"
_SHOWN_CVES = 20


@dataclass(frozen=True, slots=True)
class RiskPointView:
    """One point, ready to lay out. `evidence` ends with its date, if it has one."""

    severity: str
    area: str
    text: str
    evidence: str


@dataclass(frozen=True, slots=True)
class RiskArmView:
    """One kernel: its level in words, what counts, and what is not known."""

    label: str
    level: str
    level_text: str
    points: tuple[RiskPointView, ...]
    gaps: tuple[tuple[str, str, str], ...]
    """(area, what is not known, what would help)."""
    cves: tuple[tuple[str, str, str], ...]
    """(id, title, whether it is built and why), the first of those that are open."""
    more_cves: int


@dataclass(frozen=True, slots=True)
class RiskRow:
    """One fact, a cell a kernel. `differs` if the cells are not all alike."""

    name: str
    cells: tuple[str, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class RiskView:
    """The risk section."""

    day: str
    arms: tuple[RiskArmView, ...]
    rows: tuple[RiskRow, ...]
    data: tuple[str, ...]
    """The tables it rests on, with their dates."""
    stale: tuple[str, ...]


def risk_view(profiles: Iterable[RiskProfile]) -> RiskView | None:
    """The section, or None without a kernel. Texts from packages are made safe to show."""
    profiles = tuple(profiles)
    if not profiles:
        return None
    return RiskView(
        profiles[0].today,
        tuple(_arm(profile) for profile in profiles),
        tuple(_row(name, read, profiles) for name, read in _ROWS),
        tuple(clean(line) for line in profiles[0].data),
        profiles[0].stale,
    )


def _arm(profile: RiskProfile) -> RiskArmView:
    hits = profile.cves.open if profile.cves else ()
    return RiskArmView(
        clean(profile.arm, 120),
        profile.level,
        clean(profile.level_text),
        tuple(
            RiskPointView(
                point.severity,
                point.area,
                clean(point.text, 400),
                clean(f"{point.evidence} ({point.date})" if point.date else point.evidence, 400),
            )
            for point in profile.points
        ),
        tuple((gap.area, clean(gap.text, 400), clean(gap.remedy)) for gap in profile.gaps),
        tuple(
            (clean(hit.id), clean(hit.title), clean(f"{hit.built.value}: {hit.why}"))
            for hit in hits[:_SHOWN_CVES]
        ),
        max(0, len(hits) - _SHOWN_CVES),
    )


def _row(
    name: str, read: Callable[[RiskProfile], str], profiles: tuple[RiskProfile, ...]
) -> RiskRow:
    cells = tuple(clean(read(profile) or NOT_KNOWN, 240) for profile in profiles)
    return RiskRow(name, cells, len(set(cells)) > 1)


def _packages(profile: RiskProfile) -> str:
    return ", ".join(f"{p.name} {p.version}".strip() for p in profile.facts.packages)


def _made(profile: RiskProfile) -> str:
    return ", ".join(
        dict.fromkeys(
            f"{p.vendor}{f' on {p.built}' if p.built else ''}"
            for p in profile.facts.packages
            if p.vendor
        )
    )


def _lts(profile: RiskProfile) -> str:
    return {None: "", True: "yes", False: "no"}[profile.lifecycle.lts]


def _patches(profile: RiskProfile) -> str:
    patches = profile.facts.patches
    if patches is not None:
        return (
            f"{plural(patches.patches, 'patch', 'patches')}, "
            f"+{patches.added} −{patches.removed} lines"
        )
    marks = ", ".join(mark.meaning for mark in profile.build.marks if mark.patched)
    return f"not counted ({marks})" if marks else ""


def _marks(profile: RiskProfile) -> str:
    return ", ".join(f"{mark.meaning} ({mark.text})" for mark in profile.build.marks) or "none"


def _signature(profile: RiskProfile) -> str:
    found = profile.facts.signature
    if not found.present:
        return "none" if found.present is False else ""
    names = ", ".join(found.signers)
    return f"{'yes' if found.covers else 'DOES NOT COVER THE IMAGE'} ({names})"


def _cves(profile: RiskProfile) -> str:
    found = profile.cves
    if found is None:
        return "not assessed"
    return f"{found.open_count} ({found.unknown_count} perhaps not built)"


def _change(profile: RiskProfile) -> str:
    found = profile.cves
    if found is None:
        return "not assessed"
    if not found.compared_with:
        return "baseline"
    return f"{found.fixed_count} fixed, {found.introduced_count} new"


def _modules(profile: RiskProfile) -> str:
    if profile.modules is None:
        return "no host looked at"
    return ", ".join(f"{m.project}: {m.status}" for m in profile.modules) or "none in use"


_ROWS: tuple[tuple[str, Callable[[RiskProfile], str]], ...] = (
    ("risk", lambda p: p.level_text),
    ("release", lambda p: p.facts.release),
    ("package", _packages),
    ("packaged by", _made),
    ("series", lambda p: p.lifecycle.series),
    ("released", lambda p: p.lifecycle.released),
    ("long-term", _lts),
    ("upstream", lambda p: p.lifecycle.upstream),
    ("distribution", lambda p: p.lifecycle.distribution),
    ("supported until", lambda p: p.supported_until or ""),
    ("patches", _patches),
    ("marks", _marks),
    ("patch level", lambda p: p.build.patch_level),
    ("scheduler", lambda p: p.build.scheduler),
    ("BPF schedulers", lambda p: p.build.sched_ext),
    ("LTO", lambda p: p.build.lto),
    ("tick", lambda p: p.build.hz),
    ("preemption", lambda p: p.build.preemption),
    ("target CPU", lambda p: p.build.march),
    ("compiler", lambda p: p.build.compiler),
    ("optimisation", lambda p: p.build.optimisation),
    ("image signature", _signature),
    ("module signatures", lambda p: p.module_signatures),
    ("lockdown", lambda p: p.lockdown),
    ("live patches", lambda p: {None: "", True: "possible", False: "no"}[p.livepatch]),
    ("CVEs open", _cves),
    ("CVEs against the baseline", _change),
    ("modules from outside", _modules),
)
