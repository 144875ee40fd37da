"""The shared memory between controller and guest: plan in, records and symbols out.

The numbers are those of native/guest/channel.h. Everything read back is the guest's word:
it is bounded, decoded strictly, and a guest that writes garbage gets a ChannelError.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernleap.model.errors import InfrastructureError, UsageError

CHANNEL_BYTES = 16 << 20
PLAN_BYTES = 0x10000
RECORDS_AT = 0x10000
RECORDS_BYTES = 0x100000
SYMBOLS_AT = 0x200000
MAGIC = 0x315041454C4E524B
HEAD = struct.Struct("<QQ")
RECORD_LIMIT = 20_000


class ChannelError(ValueError):
    """The guest wrote something that is no record."""


@dataclass(frozen=True, slots=True)
class Records:
    """What the guest said, in order, by type."""

    items: tuple[dict[str, Any], ...]

    def of(self, kind: str) -> tuple[dict[str, Any], ...]:
        """All records of that type."""
        return tuple(r for r in self.items if r["type"] == kind)

    def one(self, kind: str) -> dict[str, Any]:
        """The only record of that type; ChannelError when there are none or several."""
        found = self.of(kind)
        if len(found) != 1:
            raise ChannelError(f"{len(found)} records of type {kind!r} where one belongs")
        return found[0]


def create(path: Path, plan: str) -> None:
    """Make the channel file of one boot, its room on disk reserved beforehand.

    Reserving matters: QEMU maps the file, and a full disk would end it by SIGBUS.
    """
    text = plan.encode()
    if len(text) >= PLAN_BYTES:
        raise UsageError(
            "the plan of a trial is too long for the guest",
            cause=f"{len(text)} bytes; at most {PLAN_BYTES - 1} fit",
            next_step="use fewer workloads or modifiers in one run",
        )
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, CHANNEL_BYTES)
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InfrastructureError(
            "no room for the memory that a guest answers through",
            where=str(path),
            cause=error.strerror or str(error),
            next_step=f"free {CHANNEL_BYTES >> 20} MiB there, or point TMPDIR at a larger disk",
        ) from error


def read_records(path: Path) -> Records:
    """Read what the guest recorded.

    Raises:
        ChannelError: the area is no well-formed sequence of JSON objects with a type.
    """
    with path.open("rb") as file:
        file.seek(RECORDS_AT)
        area = file.read(RECORDS_BYTES)
    magic, length = HEAD.unpack_from(area)
    if magic == 0 and length == 0:
        return Records(())
    if magic != MAGIC or length > RECORDS_BYTES - HEAD.size:
        raise ChannelError("the head of the records is garbage")
    items = tuple(_parse(area[HEAD.size : HEAD.size + length].split(b"\n")))
    if any(r["type"] == "overflow" for r in items):
        raise ChannelError("the guest wrote more records than there is room for")
    return Records(items)


def _parse(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(lines):
        if not line:
            continue
        if number > RECORD_LIMIT:
            raise ChannelError("more records than any plan asks for")
        try:
            item = json.loads(line.decode("ascii"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ChannelError(f"record {number} is not JSON") from error
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise ChannelError(f"record {number} has no type")
        yield item


def read_symbols(path: Path) -> str:
    """Read the kernel's text symbols (lines of /proc/kallsyms); ChannelError if garbled."""
    with path.open("rb") as file:
        file.seek(SYMBOLS_AT)
        magic, length = HEAD.unpack(file.read(HEAD.size))
        if magic != MAGIC or not 0 < length <= CHANNEL_BYTES - SYMBOLS_AT - HEAD.size:
            raise ChannelError("the guest handed over no symbols")
        try:
            return file.read(length).decode("ascii")
        except UnicodeDecodeError as error:
            raise ChannelError("the symbols are not ASCII") from error
