"""Who supports a kernel, and until when: upstream and the distribution, each by dated data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from kernleap.model.kernel_facts import KernelFacts
from kernleap.model.version import KernelVersion, upstream_of, version_of
from kernleap.risk.library import Library
from kernleap.risk.tables import Distribution, Series, last_day

SUPPORTED = "supported"
ENDED = "ended"
PRESUMED_ENDED = "presumed ended"
UNRELEASED = "not released"
UNKNOWN = "unknown"
_NEWER_BEFORE_END = 2
"""A series that is not long-term gets fixes until shortly after the next one is out
(kernel.org, Active kernel releases): with two newer ones out it is presumed to have ended."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The life of one kernel. None and "" mean not known."""

    version: KernelVersion | None
    series: str
    released: str
    """`2024-11-17`, or `by 2026-04-13`."""
    lts: bool | None
    upstream: str
    """SUPPORTED, ENDED, PRESUMED_ENDED, UNRELEASED or UNKNOWN."""
    upstream_end: str | None
    upstream_why: str
    distribution: str
    distribution_end: str | None
    security: bool | None
    """Whether a distribution's security team answers for this kernel today."""
    distribution_why: str
    backports: bool
    """The distribution carries fixes back into this version: its number does not tell them."""

    @property
    def supported_until(self) -> str | None:
        """The last day on which upstream or the distribution answers for it, if known."""
        ends = []
        if self.upstream == SUPPORTED and self.upstream_end:
            ends.append(self.upstream_end)
        if self.security and self.distribution_end:
            ends.append(self.distribution_end)
        return max(ends, key=last_day, default=None)

    @property
    def end(self) -> str | None:
        """`supported_until`, or the day on which support ended."""
        return self.supported_until or (self.upstream_end if self.upstream == ENDED else None)

    @property
    def supported(self) -> bool | None:
        """Whether somebody supports it today; None if that is not known."""
        if self.upstream == SUPPORTED or self.security:
            return True
        return None if self.upstream == UNKNOWN else False


def version_from(facts: KernelFacts) -> KernelVersion | None:
    """The upstream version: of a Debian package's version, else of the release.

    Debian's releases may name the series alone (`6.1.0-50-amd64` is 6.1.176).
    """
    debian = facts.source in {"debian", "deb"} and facts.version
    return version_of(upstream_of(facts.version) if debian else facts.release)


def lifecycle(facts: KernelFacts, library: Library, today: date) -> Lifecycle:
    """Look a kernel up in the tables."""
    version = version_from(facts)
    name = version.series if version else ""
    series = library.series.get(name)
    distribution = distribution_of(facts, library)
    upstream, why = _upstream(version, series, library, today)
    end, security, distribution_why = _distribution(distribution, name, today)
    return Lifecycle(
        version,
        name,
        _released(series),
        series.lts if series else None,
        upstream,
        series.eol if series else None,
        why,
        distribution.name if distribution else "",
        end,
        security,
        distribution_why,
        bool(distribution and distribution.backports),
    )


def distribution_of(facts: KernelFacts, library: Library) -> Distribution | None:
    """The distribution a kernel comes from: by suite, else by the marks in its names."""
    for entry in library.distributions:
        if facts.suite and facts.suite in entry.suites:
            return entry
    if facts.suite:
        return None
    texts = [facts.version, facts.release, *(package.version for package in facts.packages)]
    for entry in library.distributions:
        if entry.mark and any(re.search(entry.mark, text) for text in texts):
            return entry
    return None


def _upstream(
    version: KernelVersion | None, series: Series | None, library: Library, today: date
) -> tuple[str, str]:
    if version is None:
        return UNKNOWN, "the release does not start with a kernel version"
    if version.rc is not None:
        return UNRELEASED, f"{version} is a release candidate: no stable fixes exist for it"
    if series is None:
        return UNKNOWN, f"series {version.series} is not in the data"
    source = library.source("series")
    of = f"{series.checked or source.as_of}"
    if series.eol:
        ended = last_day(series.eol) < today
        words = "ended with" if ended else "projected until"
        return (
            ENDED if ended else SUPPORTED
        ), f"upstream support {words} {series.eol} (as of {of})"
    newer = _newer(series, library, today)
    moved = f"; Debian unstable had a newer one by {series.moved_on}" if series.moved_on else ""
    if series.lts is False and len(newer) >= _NEWER_BEFORE_END:
        names = ", ".join(entry.name for entry in newer)
        return PRESUMED_ENDED, (
            f"not a long-term series, and newer ones are out ({names}): no end is announced in "
            f"the data{moved}"
        )
    lts = {None: "not known whether long-term", False: "not long-term", True: "long-term"}
    after = f", newer series out: {', '.join(e.name for e in newer)}" if newer else ""
    return UNKNOWN, f"no end of support in the data (of {of}); {lts[series.lts]}{after}{moved}"


def _newer(series: Series, library: Library, today: date) -> list[Series]:
    def number(entry: Series) -> tuple[int, ...]:
        return tuple(int(part) for part in entry.name.split("."))

    found = [
        entry
        for entry in library.series.values()
        if number(entry) > number(series) and (out := entry.out_by()) is not None and out <= today
    ]
    return sorted(found, key=number)


def _distribution(
    entry: Distribution | None, series: str, today: date
) -> tuple[str | None, bool | None, str]:
    if entry is None:
        return None, None, "not a package of a distribution that the data knows"
    note = f" ({entry.note})" if entry.note else ""
    if not entry.security:
        return None, False, f"{entry.name}: no security team answers for its kernels{note}"
    if entry.kernel and series and entry.kernel != series:
        return None, False, f"{entry.name} ships {entry.kernel}, not {series}: not its own kernel"
    if entry.until is None:
        return None, True, f"{entry.name}: supported, until when is not in the data{note}"
    last = max(entry.until, entry.lts_until or entry.until)
    longer = f", long-term support until {last}" if last != entry.until else ""
    words = "support until" if today <= entry.until else "regular support ended"
    return last.isoformat(), today <= last, f"{entry.name}: {words} {entry.until}{longer}"


def _released(series: Series | None) -> str:
    if series is None:
        return ""
    if series.released:
        return series.released.isoformat()
    return f"by {series.by}" if series.by else ""
