"""The counting plugin's output file, read strictly.

The format is described at the head of native/plugin/output.c.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernleap.model.errors import InfrastructureError
from kernleap.probe.counts import SIDES, CountedFile, RegionCounts, SideCounts, VariantCounts
from kernleap.probe.events import EVENTS

FORMAT_VERSION = 3
_MAX_BYTES = 1 << 30
_MAX_REGIONS = 4096
_MAX_OPERATIONS = 65536
_MAX_VARIANTS = 16
_MAX_ADDRESSES = 1 << 20
_MAX_ERRORS = 64

_REST = -1
_BROKEN = {
    8: "a profile does not add up to its total",
    16: "the emulator ran out of memory for counts",
    64: "a context switch went unseen, so server and client cannot be told apart",
}
_BOUNDED = {
    1: f"more than {_MAX_OPERATIONS} operations: the further ones are not recorded",
    2: "too many different operations: some have no profile of their own",
    4: "too many kernel addresses: some are counted as unknown",
    32: "an interrupt did not return before user space ran: where it ended is a guess",
}
_UNSIGNED = ("interrupts", "ipis")  # events that do not tell variants apart
_SIGNATURE = [i for i, name in enumerate(EVENTS) if name not in _UNSIGNED]
_PROTOCOL = {
    1: "a region began before counting was armed",
    2: "a region began inside another, which is lost",
    3: "an operation was marked outside a region",
    4: "a region ended that had not begun",
    5: "counting was armed twice",
    6: "a message was sent after arming",
    7: "a message lost a piece",
    8: "a message named an unknown event",
    9: "a message gave an event address outside the kernel",
    10: "too many event addresses",
    11: "counting was armed in the middle of a message",
    12: "the machine ended inside a region, which is lost",
    13: "the emulator ran out of memory for counters",
    14: "a service was started before counting was armed",
    15: "too many tasks to tell apart",
}


class CountsError(InfrastructureError, ValueError):
    """A counts file is truncated, malformed or contradicts itself: no result at all."""


class _Reader:
    """A cursor over the file's bytes that never reads past its end."""

    def __init__(self, data: memoryview, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = 0

    def fail(self, what: str) -> CountsError:
        return CountsError(
            f"counts file is not usable: {what}",
            where=f"{self.path}, byte {self.at}",
            cause="the emulator was killed, the disk was full, or the file is damaged",
        )

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise self.fail("it ends early")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def fields(self, layout: str) -> tuple[int, ...]:
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def u64(self, count: int) -> NDArray[np.uint64]:
        return np.frombuffer(self.take(8 * count), dtype="<u8")

    def u32(self, count: int) -> NDArray[np.uint32]:
        return np.frombuffer(self.take(4 * count), dtype="<u4")

    def i32(self, count: int) -> NDArray[np.int32]:
        return np.frombuffer(self.take(4 * count), dtype="<i4")

    def u8(self, count: int) -> NDArray[np.uint8]:
        return np.frombuffer(self.take(count), dtype="u1")

    def check(self, condition: object, what: str) -> None:
        if not condition:
            raise self.fail(what)


def read_counts(path: Path) -> CountedFile:
    """Reads and verifies a counts file.

    Verified are the structure, every bound, and that profiles add up: in each variant the
    counts by address sum to operations x kernel instructions (and REP iterations) exactly.

    Raises:
        CountsError: anything at all is wrong with it, including that it is missing.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise CountsError(f"counts file has {size} bytes, more than {_MAX_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise CountsError(
            "counts file cannot be read",
            where=str(path),
            cause=f"{error.strerror}; the emulator may never have loaded the plugin",
        ) from error
    reader = _Reader(memoryview(data), path)
    reader.check(bytes(reader.take(8)) == b"KLCOUNT\n", "it does not begin like one")
    version, abi, api_min, api_cur, events = reader.fields("IIiiI")
    reader.check(version == FORMAT_VERSION, f"format {version} is not {FORMAT_VERSION}")
    reader.check(events == len(EVENTS), f"it has {events} events, not {len(EVENTS)}")
    target = bytes(reader.take(36)).rstrip(b"\0")
    reader.check(target.isascii() and target.decode("ascii").isprintable(), "bad target name")
    regions: list[RegionCounts] = []
    while True:
        kind, length = reader.fields("IQ")
        body = _Reader(reader.take(length), path)
        if kind == 2:
            break
        reader.check(kind == 1, f"unknown record {kind}")
        region = _region(body)
        body.check(body.at == length, "a region is longer than its contents")
        last = regions[-1].index if regions else -1
        body.check(region.index > last, "regions are out of order")
        regions.append(region)
        reader.check(len(regions) <= _MAX_REGIONS, "too many regions")
    reader.check(reader.at == len(data), "something follows the trailer")
    written, armed, _slots, addresses, n_errors, listed = body.fields("6I")
    totals = [int(n) for n in body.u64(3 + len(EVENTS))]
    body.check(listed == min(n_errors, _MAX_ERRORS), "bad list of errors")
    errors = [body.fields("II") for _ in range(listed)]
    body.check(bytes(body.take(8)) == b"KLEND..\n" and body.at == length, "bad trailer")
    body.check(written == len(regions) and armed in (0, 1), "trailer and regions disagree")
    words = [
        f"{_PROTOCOL.get(code, f'protocol error {code}')} (region {number})"
        for code, number in errors
    ]
    if n_errors > listed:
        words.append(f"and {n_errors - listed} further protocol errors")
    return CountedFile(
        regions=tuple(regions),
        abi=abi,
        api=(api_min, api_cur),
        target=target.decode("ascii"),
        armed=bool(armed),
        event_addresses=addresses,
        totals=dict(zip(("kernel", "user", "rep", *EVENTS), totals, strict=True)),
        errors=tuple(words),
    )


def _region(reader: _Reader) -> RegionCounts:
    index, flags, operations, kept, seen, in_rest, n, n_sides = reader.fields("8I")
    reader.check(flags < 128, f"unknown flags {flags}")
    reader.check(n_sides in (0, len(SIDES)), "an unknown number of sides")
    for bit, meaning in _BROKEN.items():
        reader.check(not flags & bit, f"region {index}: {meaning}")
    reader.check(operations <= _MAX_OPERATIONS and n <= _MAX_ADDRESSES, "a region is too large")
    reader.check(kept == min(seen, _MAX_VARIANTS), "variants do not match their number")
    kernel = reader.u64(operations)
    user = reader.u64(operations)
    rep = reader.u64(operations)
    interrupt = reader.u64(operations)
    events = reader.u32(operations * len(EVENTS)).reshape(operations, len(EVENTS))
    variant = reader.i32(operations)
    reader.check(
        not operations or (variant.min() >= _REST and variant.max() < kept), "bad variant number"
    )
    addresses = reader.u64(n)
    reader.check(np.all((addresses >> np.uint64(63)) | (addresses == 0)), "not a kernel address")
    repeats = reader.u8(n)
    reader.check(not n or repeats.max() <= 1, "bad flag of an address")
    is_repeat = repeats.astype(np.bool_)
    profiles = []
    for number in [*range(kept), _REST]:
        profile = _profile(reader, n)
        mine = variant == number
        reader.check(profile.operations == np.count_nonzero(mine), "operations do not add up")
        repeated = is_repeat[profile.places]
        for totals, counts in (
            (kernel[mine], profile.counts[~repeated]),
            (rep[mine], profile.counts[repeated]),
        ):
            reader.check(_exact_sum(totals) == _exact_sum(counts), "a profile does not add up")
            if number != _REST and len(totals):
                reader.check(np.all(totals == totals[0]), "operations of a variant differ")
        reader.check(
            number == _REST or np.all(events[mine][:, _SIGNATURE] == events[mine][:1, _SIGNATURE]),
            "operations of a variant differ",
        )
        profiles.append(profile)
    reader.check(profiles[-1].operations == in_rest, "the rest does not add up")
    sizes = [p.operations for p in profiles[:-1]]
    reader.check(all(sizes) and sizes == sorted(sizes, reverse=True), "variants are unordered")
    sides = tuple(_side(reader, operations, is_repeat) for _ in range(n_sides))
    for name, total in (("kernel", kernel), ("user", user), ("rep", rep), ("events", events)):
        told = np.zeros_like(total)
        for side in sides:
            told += getattr(side, name)
        reader.check(np.all(told <= total), "the sides did more than all together")
    return RegionCounts(
        index=index,
        kernel=kernel,
        user=user,
        rep=rep,
        interrupt=interrupt,
        events=events,
        variant=variant,
        variants=tuple(profiles[:-1]),
        rest=profiles[-1],
        variants_seen=seen,
        addresses=addresses,
        repeats=is_repeat,
        warnings=tuple(text for bit, text in _BOUNDED.items() if flags & bit),
        sides=sides,
    )


def _side(reader: _Reader, operations: int, is_repeat: NDArray[np.bool_]) -> SideCounts:
    kernel, user, rep = (reader.u64(operations) for _ in range(3))
    events = reader.u32(operations * len(EVENTS)).reshape(operations, len(EVENTS))
    profile = _profile(reader, len(is_repeat))
    reader.check(profile.operations == operations, "operations of a side do not add up")
    repeated = is_repeat[profile.places]
    for totals, counts in ((kernel, profile.counts[~repeated]), (rep, profile.counts[repeated])):
        reader.check(_exact_sum(totals) == _exact_sum(counts), "a side does not add up")
    return SideCounts(kernel, user, rep, events, profile)


def _profile(reader: _Reader, addresses: int) -> VariantCounts:
    operations, entries = reader.fields("II")
    reader.check(entries <= addresses, "a profile is larger than its region")
    places = reader.u32(entries)
    counts = reader.u64(entries)
    reader.check(not entries or places.max() < addresses, "bad place in a profile")
    reader.check(np.all(places[1:] > places[:-1]) and np.all(counts > 0), "disordered profile")
    return VariantCounts(operations=operations, places=places, counts=counts)


def _exact_sum(values: NDArray[np.uint64]) -> int:
    """The sum as a Python integer: uint64 sums wrap around silently."""
    low = int(np.sum(values & np.uint64(0xFFFFFFFF)))
    return low + (int(np.sum(values >> np.uint64(32))) << 32)
