"""Kernel versions and releases: parsing, series, order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]rc(\d+))?")
_FINAL = 1_000_000
"""Stands for *no release candidate*: a final release sorts after its candidates."""


@total_ordering
@dataclass(frozen=True, slots=True)
class KernelVersion:
    """An upstream version: `7.2`, `7.2.12`, `7.3-rc7` (Debian writes `7.3~rc7`)."""

    major: int
    minor: int
    patch: int = 0
    rc: int | None = None

    @property
    def series(self) -> str:
        """`MAJOR.MINOR`."""
        return f"{self.major}.{self.minor}"

    def _key(self) -> tuple[int, int, int, int]:
        return (self.major, self.minor, self.patch, _FINAL if self.rc is None else self.rc)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, KernelVersion):
            return NotImplemented
        return self._key() < other._key()

    def __str__(self) -> str:
        patch = f".{self.patch}" if self.patch else ""
        rc = "" if self.rc is None else f"-rc{self.rc}"
        return f"{self.series}{patch}{rc}"


def parse_version(text: str) -> KernelVersion | None:
    """The version that `text` *is* (nothing may follow), or None."""
    match = _VERSION.fullmatch(text)
    return _build(match) if match else None


def version_of(release: str) -> KernelVersion | None:
    """The version that a release (`uname -r`) or package version starts with, or None."""
    match = _VERSION.match(release)
    return _build(match) if match else None


def is_series(text: str) -> bool:
    """Whether `text` names a series: `7.2`, nothing more."""
    return re.fullmatch(r"\d+\.\d+", text) is not None


def upstream_of(package_version: str) -> str:
    """The upstream part of a Debian version: `1:7.2.12-1~bpo13+1` is `7.2.12`."""
    without_epoch = package_version.split(":", 1)[-1]
    return without_epoch.rsplit("-", 1)[0]


def _build(match: re.Match[str]) -> KernelVersion:
    major, minor, patch, rc = match.groups()
    return KernelVersion(int(major), int(minor), int(patch or 0), int(rc) if rc else None)
