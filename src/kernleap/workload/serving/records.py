"""Reads the records of `kernleap-load`: one for each request, one for each token event.

A file is a header of 64 bytes (magic, version, size of a record) and records of fixed size,
little-endian (native/driver/record.h). Times are CLOCK_MONOTONIC in nanoseconds; 0 is *never*.
What is read may come from a guest, so that nothing in it is believed unchecked; a file that was
cut short is read up to its last whole record, and says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from typing import Any

import numpy as np

from kernleap.model.errors import InfrastructureError

KINDS = (
    "ok", "refused", "unreachable", "reset", "connect_timeout", "first_byte_timeout",
    "stall_timeout", "total_timeout", "http_429", "http_4xx", "http_5xx", "http_other",
    "malformed_http", "malformed_chunk", "malformed_json", "too_long", "server_error", "truncated",
    "no_tokens", "unfinished", "local",
)  # fmt: skip
"""How a request ended, by number; all but `ok` are errors."""

ABSENT = 0xFFFFFFFF
"""In `usage_*`: the server did not say."""


class Flag(IntFlag):
    """Of a request's record."""

    WARMUP = 1
    REUSED = 2
    RETRIED = 4
    QUEUED = 8
    FINISHED = 16


_TIMES = (
    "scheduled", "started", "connected", "sent", "first_byte", "first_token", "last_token", "end",
)  # fmt: skip

REQUEST = np.dtype(
    [
        ("index", "<u4"),
        ("status", "<u2"),
        ("kind", "u1"),
        ("flags", "u1"),
        *((name, "<u8") for name in _TIMES),
        ("bytes_in", "<u8"),
        ("bytes_out", "<u8"),
        ("longest_gap", "<u8"),
        ("text_hash", "<u8"),
        ("text_bytes", "<u8"),
        ("prompt", "<u4"),
        ("output", "<u4"),
        ("events", "<u4"),
        ("events_in_window", "<u4"),
        ("frames", "<u4"),
        ("usage_prompt", "<u4"),
        ("usage_completion", "<u4"),
        ("connection", "<u4"),
        ("error", "<u4"),
        ("reserved", "<u4"),
    ]
)
EVENT = np.dtype([("at", "<u8"), ("index", "<u4"), ("merged", "<u2"), ("text_bytes", "<u2")])

_HEADER_BYTES = 64
_FILE_MOST = 8 << 30


@dataclass(frozen=True, slots=True)
class Records:
    """A structured array (`REQUEST` or `EVENT`), and the bytes after its last whole record."""

    rows: np.ndarray[Any, np.dtype[np.void]]
    cut: int


def read_requests(path: Path) -> Records:
    """The requests, in the order in which they ended.

    Raises:
        InfrastructureError: no such file, or not one of these.
    """
    records = _read(path, b"KLREQST\n", REQUEST)
    rows = records.rows
    if rows.size:
        if int(rows["kind"].max()) >= len(KINDS):
            raise _broken(path, "a request ended in a way that is not known")
        if not (rows["started"] >= rows["scheduled"]).all() or not rows["scheduled"].all():
            raise _broken(path, "a request started before it was due")
        ok = rows[rows["kind"] == 0]
        # Not `sent`: a server can answer before it has read everything.
        steps = ("scheduled", "started", "connected", "first_token", "last_token", "end")
        if any((ok[a] > ok[b]).any() for a, b in itertools.pairwise(steps)):
            raise _broken(path, "the times of a request are out of order")
    return records


def read_events(path: Path) -> Records:
    """The token events of all requests, in order of arrival. Raises as `read_requests` does."""
    records = _read(path, b"KLEVENT\n", EVENT)
    at = records.rows["at"]
    if (at[1:] < at[:-1]).any():
        raise _broken(path, "its times are out of order")
    return records


def _read(path: Path, magic: bytes, dtype: np.dtype[np.void]) -> Records:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise InfrastructureError(
            "the records of the load driver cannot be read", where=str(path), cause=error.strerror
        ) from error
    if len(header) < _HEADER_BYTES or header[:8] != magic:
        raise _broken(path, "it does not begin like one")
    version, record_bytes = (int.from_bytes(header[i : i + 4], "little") for i in (8, 12))
    if version != 1 or record_bytes != dtype.itemsize:
        raise _broken(path, f"version {version} with records of {record_bytes} bytes is not known")
    if size > _FILE_MOST:
        raise _broken(path, f"{size} bytes are more than any run writes")
    count, cut = divmod(size - _HEADER_BYTES, dtype.itemsize)
    rows = np.fromfile(path, dtype=dtype, count=count, offset=_HEADER_BYTES)
    return Records(rows, cut)


def _broken(path: Path, cause: str) -> InfrastructureError:
    return InfrastructureError(
        "this is not a file of the load driver's records", where=str(path), cause=cause
    )
