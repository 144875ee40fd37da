"""The tables behind a risk: series, distributions, hardening, paths, modules outside the tree."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from kernleap.risk.dated import bad

_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")
_WEIGHTS = ("note", "moderate", "high")
STATUSES = ("builds", "fails")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Series:
    """An upstream series. None means not known."""

    name: str
    released: date | None = None
    by: date | None = None
    """It was out no later than this day."""
    lts: bool | None = None
    eol: str | None = None
    """`YYYY-MM-DD`, or `YYYY-MM` for the end of a month."""
    checked: date | None = None
    moved_on: date | None = None

    def out_by(self) -> date | None:
        """A day on which the series certainly was out."""
        return self.released or self.by


@dataclass(frozen=True, slots=True)
class Distribution:
    """Who ships kernels, and until when they answer for them."""

    name: str
    suites: tuple[str, ...] = ()
    mark: str = ""
    kernel: str = ""
    until: date | None = None
    lts_until: date | None = None
    security: bool = False
    backports: bool = False
    """Fixes are carried back into a frozen version: upstream versions tell nothing."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Hardening:
    """An option, by all its names, that should be on or off."""

    names: tuple[str, ...]
    want: str
    weight: str
    why: str
    since: str = ""
    arch: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A boot parameter that takes protection away."""

    name: str
    value: str
    weight: str
    why: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project whose modules are built outside the kernel tree."""

    name: str
    modules: tuple[str, ...]
    dkms: tuple[str, ...]
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Support:
    """Somebody's statement that a project's modules build for a series, or do not."""

    project: str
    series: tuple[str, ...]
    status: str
    source: str
    date: str
    version: str = ""
    """Version of the project it holds for; "" for any."""


def last_day(text: str) -> date:
    """The last day that `YYYY-MM-DD` or `YYYY-MM` includes. ValueError for anything else."""
    if _MONTH.fullmatch(text):
        year, month = int(text[:4]), int(text[5:])
        return date(year, month, calendar.monthrange(year, month)[1])
    return date.fromisoformat(text)


def read_series(raw: Mapping[str, Any], where: str) -> dict[str, Series]:
    """The series by name. UsageError names the key that is wrong."""
    found = {}
    for name, entry in _mapping(raw, "series", where).items():
        at = f"{where}, [series.{name!r}]"
        if not re.fullmatch(r"\d+\.\d+", name) or not isinstance(entry, Mapping):
            raise bad(at, "series", "a series is MAJOR.MINOR")
        eol = _text(entry, "eol", at)
        if eol:
            _checked(last_day, eol, at, "eol", "give YYYY-MM-DD or YYYY-MM")
        found[name] = Series(
            name,
            released=_day(entry, "released", at),
            by=_day(entry, "by", at),
            lts=_flag(entry, "lts", at),
            eol=eol or None,
            checked=_day(entry, "checked", at),
            moved_on=_day(entry, "moved_on", at),
        )
    return found


def read_distributions(raw: Mapping[str, Any], where: str) -> tuple[Distribution, ...]:
    """The distributions in order: the first that matches counts."""
    found = []
    for entry, at in _entries(raw, "distribution", where):
        mark = _text(entry, "mark", at)
        _checked(re.compile, mark, at, "mark", "it is no regular expression")
        found.append(
            Distribution(
                _needed(entry, "name", at),
                _texts(entry, "suite", at),
                mark,
                _text(entry, "kernel", at),
                _day(entry, "until", at),
                _day(entry, "lts_until", at),
                bool(_flag(entry, "security", at)),
                bool(_flag(entry, "backports", at)),
                _text(entry, "note", at),
            )
        )
    return tuple(found)


def read_hardening(
    raw: Mapping[str, Any], where: str
) -> tuple[tuple[Hardening, ...], tuple[Parameter, ...]]:
    """Options and boot parameters."""
    options = []
    for entry, at in _entries(raw, "option", where):
        names, want = _texts(entry, "names", at), _text(entry, "want", at)
        if not names or want not in {"y", "n"}:
            raise bad(at, "want", 'names = [...] and want = "y" or "n" are needed')
        options.append(
            Hardening(
                names, want, _weight(entry, at), _needed(entry, "why", at),
                _text(entry, "since", at), _text(entry, "arch", at),
            )
        )  # fmt: skip
    parameters = []
    for entry, at in _entries(raw, "cmdline", where):
        value = _text(entry, "value", at)
        _checked(re.compile, value, at, "value", "it is no regular expression")
        parameters.append(
            Parameter(
                _needed(entry, "name", at), value, _weight(entry, at), _needed(entry, "why", at)
            )
        )
    return tuple(options), tuple(parameters)


def read_paths(raw: Mapping[str, Any], where: str) -> dict[str, tuple[str, ...]]:
    """Path prefix -> the options that must all be on."""
    paths = _mapping(raw, "paths", where)
    return {prefix: _texts(paths, prefix, where) for prefix in paths}


def read_modules(
    raw: Mapping[str, Any], where: str
) -> tuple[tuple[Project, ...], tuple[Support, ...]]:
    """Projects, and statements about what builds."""
    projects = tuple(
        Project(
            _needed(entry, "name", at),
            _texts(entry, "modules", at),
            _texts(entry, "dkms", at),
            _text(entry, "licence", at),
        )
        for entry, at in _entries(raw, "project", where)
    )
    return projects, read_support(raw, where)


def read_support(raw: Mapping[str, Any], where: str) -> tuple[Support, ...]:
    """`[[support]]` entries: project, series, status, source and date are all needed."""
    found = []
    for entry, at in _entries(raw, "support", where):
        status = _text(entry, "status", at)
        if status not in STATUSES:
            raise bad(at, "status", f"it must be one of {', '.join(STATUSES)}")
        series = _texts(entry, "series", at)
        if not series:
            raise bad(at, "series", 'name the series it holds for, such as ["6.12"]')
        day = _day(entry, "date", at)
        if day is None:
            raise bad(at, "date", "a statement without a date cannot grow old")
        found.append(
            Support(
                _needed(entry, "project", at),
                series,
                status,
                _needed(entry, "source", at),
                day.isoformat(),
                _text(entry, "version", at),
            )
        )
    return tuple(found)


def _entries(
    raw: Mapping[str, Any], key: str, where: str
) -> Iterator[tuple[Mapping[str, Any], str]]:
    entries = raw.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise bad(where, key, f"write [[{key}]] for each")
    for number, entry in enumerate(entries, start=1):
        yield entry, f"{where}, {key} {number}"


def _mapping(raw: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, Mapping):
        raise bad(where, key, f"write [{key}]")
    return value


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise bad(where, key, "it must be a string")
    return value


def _needed(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = _text(entry, key, where)
    if not value.strip():
        raise bad(where, key, "it must not be empty")
    return value


def _texts(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad(where, key, "it must be a list of strings")
    return tuple(value)


def _flag(entry: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad(where, key, "it must be true or false")
    return value


def _day(entry: Mapping[str, Any], key: str, where: str) -> date | None:
    value = entry.get(key)
    if isinstance(value, str):  # JSON has no dates
        return _checked(date.fromisoformat, value, where, key, "it must be a date, YYYY-MM-DD")
    if value is not None and type(value) is not date:
        raise bad(where, key, "it must be a date, YYYY-MM-DD")
    return value


def _weight(entry: Mapping[str, Any], where: str) -> str:
    weight = _text(entry, "weight", where)
    if weight not in _WEIGHTS:
        raise bad(where, "weight", f"it must be one of {', '.join(_WEIGHTS)}")
    return weight


def _checked(read: Callable[[str], T], text: str, where: str, key: str, why: str) -> T:
    try:
        return read(text)
    except (ValueError, re.error):
        raise bad(where, key, why) from None
