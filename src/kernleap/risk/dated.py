"""Data with a date: which files there are, how old each is, and when it is too old."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from kernleap.model.errors import UsageError

SCHEMA = 1
CVES = "cves"
LIMITS_DAYS: dict[str, int] = {
    "series": 120,
    "distributions": 180,
    "hardening": 365,
    "modules": 365,
    "paths": 365,
    CVES: 14,
}
"""Days after which a table is stale. Two series come out in 120 days; the CNA publishes daily."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where a table comes from. `as_of` is None if it does not say."""

    name: str
    as_of: date | None
    source: str
    origin: str
    """`shipped`, or what it was read from."""

    def age_days(self, today: date) -> int | None:
        """Age in days; None if the table has no date."""
        return None if self.as_of is None else (today - self.as_of).days

    def stale(self, today: date) -> bool:
        """Older than its kind may be, or of unknown age."""
        age = self.age_days(today)
        return age is None or age > LIMITS_DAYS.get(self.name, 180)

    def said(self, today: date) -> str:
        """One line: date, age, and whether that is too old."""
        age = self.age_days(today)
        if age is None:
            return f"{self.name}: of unknown date ({self.origin})"
        if age < 0:
            return f"{self.name}: of {self.as_of}, which is in the future ({self.origin})"
        words = f"{self.name}: of {self.as_of}, {age} days old ({self.origin})"
        limit = LIMITS_DAYS.get(self.name, 180)
        return f"{words}, STALE: more than {limit} days" if age > limit else words


def read_table(name: str, text: str, origin: str) -> tuple[DataSource, Mapping[str, Any]]:
    """Parse a dated TOML table.

    Raises:
        UsageError: it is no TOML, has no date or source, or is of a newer schema.
    """
    where = f"{origin}: {name}.toml"
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            "risk data that is not valid TOML", where=where, cause=str(error)
        ) from None
    as_of, source, schema = raw.get("as_of"), raw.get("source"), raw.get("schema")
    if schema != SCHEMA:
        raise bad(where, "schema", f"this kernleap reads schema {SCHEMA}, not {schema!r}")
    if type(as_of) is not date:
        raise bad(where, "as_of", "it must be a date, such as 2026-11-15")
    if not isinstance(source, str) or not source.strip():
        raise bad(where, "source", "it must say where the data comes from")
    return DataSource(name, as_of, source, origin), raw


def bad(where: str, key: str, why: str) -> UsageError:
    """The error for a key of a table that is missing or wrong."""
    return UsageError(
        f"risk data: `{key}` is missing or wrong",
        where=where,
        cause=why,
        next_step="mend the file, or import a bundle that holds a right one",
    )
