"""All that risk knows: the shipped tables, replaced by newer ones where a bundle brought them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from typing import Any

from kernleap.risk.cve import CveRecord
from kernleap.risk.dated import DataSource, read_table
from kernleap.risk.tables import (
    Distribution,
    Hardening,
    Parameter,
    Project,
    Series,
    Support,
    read_distributions,
    read_hardening,
    read_modules,
    read_paths,
    read_series,
)

TABLES = ("series", "distributions", "hardening", "paths", "modules")


@dataclass(frozen=True, slots=True)
class CveData:
    """The CVE records at hand, and how many there were that could not be used."""

    records: tuple[CveRecord, ...]
    source: DataSource
    rejected: int = 0
    """Withdrawn by the CNA."""
    unreadable: int = 0
    foreign: int = 0
    """Records of other CNAs or products."""


@dataclass(frozen=True, slots=True)
class Library:
    """Every table with where it comes from. `cves` is None where no bundle was given."""

    series: Mapping[str, Series] = field(default_factory=dict)
    distributions: tuple[Distribution, ...] = ()
    hardening: tuple[Hardening, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    projects: tuple[Project, ...] = ()
    support: tuple[Support, ...] = ()
    cves: CveData | None = None
    sources: Mapping[str, DataSource] = field(default_factory=dict)

    def source(self, table: str) -> DataSource:
        """Where a table comes from. KeyError if there is no such table."""
        return self.sources[table]

    def with_tables(self, texts: Mapping[str, str], origin: str) -> Library:
        """This library with tables (name -> TOML) that are no older than what it has.

        Raises:
            UsageError: a table is not what it should be; nothing is taken over then.
        """
        library = self
        for name in TABLES:
            if name not in texts:
                continue
            source, raw = read_table(name, texts[name], origin)
            there = self.sources.get(name)
            if there and there.as_of and source.as_of and source.as_of < there.as_of:
                continue
            library = library._take(name, source, raw)
        return library

    def with_cves(self, cves: CveData) -> Library:
        """This library with other CVE records."""
        return replace(self, cves=cves, sources={**self.sources, cves.source.name: cves.source})

    def with_support(self, support: Iterable[Support]) -> Library:
        """This library with more statements about modules; the user's come first."""
        return replace(self, support=(*support, *self.support))

    def _take(self, name: str, source: DataSource, raw: Mapping[str, Any]) -> Library:
        where = f"{source.origin}: {name}.toml"
        sources = {**self.sources, name: source}
        if name == "series":
            return replace(self, series=read_series(raw, where), sources=sources)
        if name == "distributions":
            return replace(self, distributions=read_distributions(raw, where), sources=sources)
        if name == "hardening":
            options, parameters = read_hardening(raw, where)
            return replace(self, hardening=options, parameters=parameters, sources=sources)
        if name == "paths":
            return replace(self, paths=read_paths(raw, where), sources=sources)
        projects, support = read_modules(raw, where)
        return replace(self, projects=projects, support=support, sources=sources)


@lru_cache(maxsize=1)
def shipped() -> Library:
    """The library that kernleap comes with. It has no CVE records."""
    folder = resources.files("kernleap.risk").joinpath("data")
    texts = {name: folder.joinpath(f"{name}.toml").read_text("utf-8") for name in TABLES}
    return Library().with_tables(texts, "shipped")
