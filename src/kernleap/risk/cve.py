"""CVE records of the kernel's own CNA, and what they say of a version.

The format is CVE JSON 5.x (github.com/CVEProject/cve-schema, versions.md). The kernel's CNA gives
each record two descriptions of the same thing: ranges of commits (`git`), which cannot be
decided without a repository and are left aside, and ranges of versions: a block whose default is
*affected* lists what is not, a block whose default is *unaffected* lists what is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kernleap.model.version import KernelVersion, parse_version

_ID = re.compile(r"CVE-\d{4}-\d{4,19}")
_FOREVER = KernelVersion(1_000_000, 0)
_KERNEL_CNA = {
    "Linux",
    "416baaa9-dc9f-4396-8d5f-8c081fb06d67",
    "f4215fc3-5b6b-47ff-a258-f7189bd81038",
}
"""How records name the kernel's CNA: published ones, and those in its own repository."""
_MAX_FILES = 4096
_MAX_SPANS = 4096
_OLD = re.compile(r"2\.6\.(\d+)\.\d+")
"""Before 3.0 a stable release had four numbers; the last is left aside."""
_COMMIT = re.compile(r"[0-9a-f]{12,40}")


class Status(StrEnum):
    """What a record says of a version."""

    AFFECTED = "affected"
    UNAFFECTED = "unaffected"
    UNKNOWN = "unknown"


class NotAKernelRecordError(ValueError):
    """A record of another CNA or of another product."""


@dataclass(frozen=True, slots=True)
class Span:
    """Versions from `low` up to `high` (not itself, if `below`) have this status."""

    status: str
    low: KernelVersion
    high: KernelVersion
    below: bool

    def holds(self, version: KernelVersion) -> bool:
        """Whether the version lies in it."""
        return self.low <= version and (version < self.high if self.below else version <= self.high)


@dataclass(frozen=True, slots=True)
class Block:
    """One `affected` entry, as far as versions decide it."""

    default: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class CveRecord:
    """One published record.

    `blocks` is empty where only commits are given; `score` is the highest CVSS base score.
    """

    id: str
    title: str
    updated: str
    """ISO date of the last update, "" if it does not say."""
    files: tuple[str, ...]
    blocks: tuple[Block, ...]
    score: float | None = None

    def status(self, version: KernelVersion) -> Status:
        """What it says of a version.

        A release candidate for which the release itself has another status is *unknown*: the
        records name releases, and the fix may be in a later candidate.
        """
        found = self._status(version)
        if version.rc is not None:
            final = self._status(KernelVersion(version.major, version.minor, version.patch))
            return found if found is final else Status.UNKNOWN
        return found

    def _status(self, version: KernelVersion) -> Status:
        if not self.blocks:
            return Status.UNKNOWN
        said = {_of_block(block, version) for block in self.blocks}
        if Status.AFFECTED in said:
            return Status.AFFECTED
        return Status.UNKNOWN if Status.UNKNOWN in said else Status.UNAFFECTED


def _of_block(block: Block, version: KernelVersion) -> Status:
    holding = {span.status for span in block.spans if span.holds(version)}
    # What is said to be fixed is fixed, also where a wider range says affected.
    for status in (Status.UNAFFECTED, Status.AFFECTED, Status.UNKNOWN):
        if status in holding:
            return status
    return Status(block.default)


def parse_record(data: bytes | Mapping[str, Any]) -> CveRecord | None:
    """Read one record; None for one that is not published (rejected, reserved).

    Raises:
        NotAKernelRecordError: a record of another CNA or product.
        ValueError: it is no CVE record.
    """
    raw = json.loads(data) if isinstance(data, bytes) else data
    if not isinstance(raw, Mapping) or raw.get("dataType") != "CVE_RECORD":
        raise ValueError("it is no CVE record")
    cna = _object(_object(raw.get("containers"), "containers").get("cna"), "cna")
    if "rejectedReasons" in cna:
        return None
    meta = _object(raw.get("cveMetadata"), "cveMetadata")
    name = meta.get("cveId")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise ValueError("it has no CVE id")
    if meta.get("state") != "PUBLISHED":
        return None
    affected = [
        _object(entry, "affected") for entry in _list(cna.get("affected"), "affected", _MAX_SPANS)
    ]
    ours = [entry for entry in affected if entry.get("product") == "Linux"]
    if not _KERNEL_CNA & {meta.get("assignerShortName"), meta.get("assignerOrgId")} or not ours:
        raise NotAKernelRecordError(name)
    files = dict.fromkeys(
        path
        for entry in ours
        for path in _list(entry.get("programFiles", []), "programFiles", _MAX_FILES)
        if isinstance(path, str) and len(path) <= 512
    )
    blocks = tuple(block for entry in ours if (block := _block(entry)) is not None)
    title = cna.get("title")
    return CveRecord(
        name,
        title[:200] if isinstance(title, str) else "",
        _day(meta.get("dateUpdated")),
        tuple(files),
        blocks,
        _score(cna.get("metrics", [])),
    )


def _block(entry: Mapping[str, Any]) -> Block | None:
    default = entry.get("defaultStatus", Status.UNKNOWN.value)
    if default not in set(Status):
        raise ValueError(f"defaultStatus {default!r} is not known")
    spans: list[Span] = []
    of_versions = False
    for raw in _list(entry.get("versions", []), "versions", _MAX_SPANS):
        item = _object(raw, "versions")
        if item.get("versionType") == "git" or _COMMIT.fullmatch(str(item.get("version", ""))):
            continue
        of_versions = True
        spans.append(_span(item))
    return Block(default, tuple(spans)) if of_versions else None


def _span(item: Mapping[str, Any]) -> Span:
    status = item.get("status")
    if status not in set(Status):
        raise ValueError(f"status {status!r} is not known")
    low = _version(item.get("version"))
    if "lessThan" in item:
        limit = item["lessThan"]
        return Span(status, low, _FOREVER if limit == "*" else _version(limit), below=True)
    if "lessThanOrEqual" in item:
        limit = item["lessThanOrEqual"]
        if limit == "*":
            return Span(status, low, _FOREVER, below=True)
        if isinstance(limit, str) and limit.endswith(".*"):
            start = _version(limit[:-2])
            return Span(status, low, KernelVersion(start.major, start.minor + 1, 0, 0), below=True)
        return Span(status, low, _version(limit), below=False)
    return Span(status, low, low, below=False)


def _version(text: object) -> KernelVersion:
    if text == "0":
        return KernelVersion(0, 0)
    if isinstance(text, str) and (old := _OLD.fullmatch(text)):
        return KernelVersion(2, 6, int(old[1]))
    version = parse_version(text) if isinstance(text, str) else None
    if version is None:
        raise ValueError(f"{text!r:.60} is no kernel version")
    return version


def _score(metrics: object) -> float | None:
    scores = []
    for metric in _list(metrics, "metrics", _MAX_SPANS):
        for name, value in _object(metric, "metrics").items():
            base = value.get("baseScore") if isinstance(value, Mapping) else None
            if name.startswith("cvss") and isinstance(base, int | float) and 0 <= base <= 10:
                scores.append(float(base))
    return max(scores, default=None)


def _object(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} is missing or no object")  # noqa: TRY004 - bad data, not a bad call
    return value


def _list(value: object, key: str, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{key} is missing, no list, or too long")
    return value


def _day(text: object) -> str:
    return text[:10] if isinstance(text, str) and re.match(r"\d{4}-\d\d-\d\d", text) else ""
