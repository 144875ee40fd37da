"""CVE records in bulk: read from the CNA's files, kept in a compact form.

The CNA's records of the kernel are more than ten thousand files; imported, they are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.model.version import KernelVersion
from kernleap.risk.cve import Block, CveRecord, NotAKernelRecordError, Span, parse_record
from kernleap.risk.dated import CVES, DataSource
from kernleap.risk.library import CveData

_SCHEMA = 1


def read_records(
    files: Iterable[tuple[str, bytes]], *, as_of: date | None, source: str, origin: str
) -> CveData:
    """Read CVE files (name, bytes). What cannot be used is counted, not dropped in silence.

    Without `as_of` the data is as old as its newest record.
    """
    records: dict[str, CveRecord] = {}
    rejected = unreadable = foreign = 0
    for name, data in files:
        if "rejected" in name.split("/")[:-1]:  # the CNA's repository says it by the directory
            rejected += 1
            continue
        try:
            record = parse_record(data)
        except NotAKernelRecordError:
            foreign += 1
            continue
        except (ValueError, RecursionError):
            unreadable += 1
            continue
        if record is None:
            rejected += 1
            continue
        known = records.get(record.id)
        if known is None or known.updated < record.updated:
            records[record.id] = record
    newest = max((record.updated for record in records.values()), default="")
    day = as_of or (date.fromisoformat(newest) if newest else None)
    return CveData(
        tuple(records[name] for name in sorted(records)),
        DataSource(CVES, day, source, origin),
        rejected,
        unreadable,
        foreign,
    )


def dump(data: CveData) -> bytes:
    """The compact form."""
    return json.dumps(
        {
            "schema": _SCHEMA,
            "as_of": data.source.as_of.isoformat() if data.source.as_of else None,
            "source": data.source.source,
            "origin": data.source.origin,
            "counts": [data.rejected, data.unreadable, data.foreign],
            "records": [_pack(record) for record in data.records],
        },
        separators=(",", ":"),
    ).encode()


def load(data: bytes, where: str) -> CveData:
    """Back from the compact form. UsageError if it is damaged or of another schema."""
    try:
        raw = json.loads(data)
        if raw["schema"] != _SCHEMA:
            raise ValueError(f"schema {raw['schema']}")  # noqa: TRY301
        day = date.fromisoformat(raw["as_of"]) if raw["as_of"] else None
        records = tuple(_unpack(item) for item in raw["records"])
        return CveData(records, DataSource(CVES, day, raw["source"], raw["origin"]), *raw["counts"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(
            "the imported CVE records cannot be read",
            where=where,
            cause=f"damaged, or of another kernleap ({error})",
            next_step="kernleap risk data import BUNDLE",
        ) from error


def _pack(record: CveRecord) -> list[Any]:
    blocks = [
        [b.default, [[s.status, _key(s.low), _key(s.high), int(s.below)] for s in b.spans]]
        for b in record.blocks
    ]
    return [record.id, record.title, record.updated, list(record.files), record.score, blocks]


def _unpack(item: list[Any]) -> CveRecord:
    name, title, updated, files, score, blocks = item
    return CveRecord(
        name,
        title,
        updated,
        tuple(files),
        tuple(
            Block(
                default,
                tuple(
                    Span(status, KernelVersion(*low), KernelVersion(*high), bool(below))
                    for status, low, high, below in spans
                ),
            )
            for default, spans in blocks
        ),
        score,
    )


def _key(version: KernelVersion) -> list[int | None]:
    return [version.major, version.minor, version.patch, version.rc]
