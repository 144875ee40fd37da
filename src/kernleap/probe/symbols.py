"""Symbols of a booted kernel: from addresses to function names that compare across kernels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernleap.model.errors import InfrastructureError

UNKNOWN = "[unknown]"
"""Where counts go whose address no function covers."""

_MAX_BYTES = 64 << 20
_MAX_SYMBOLS = 2_000_000
_MAX_NAME = 512

# Compilers clone and split functions; the clones' names differ from build to build.
_SUFFIX = re.compile(
    r"\.(?:isra|constprop|part|cold|llvm|lto_priv|localalias|variant|clone|specialized"
    r"|ipa_ra|ipcp)(?:\.[0-9a-f]+)*$"
)
# Linker marks at the edge of a section share their address with the section's first function.
_SECTION_MARK = re.compile(r"^_*(?:[a-z]+_)*s?e?(?:init)?text(?:_start|_end)?$")
_PREFIX_PADDING = "__pfx_"
_FUNCTION_TYPES = frozenset(b"tTwW")


def fold(name: str) -> str:
    """The function a symbol belongs to in its source: `foo.isra.0.cold` is `foo`.

    The padding that newer kernels place before a function (`__pfx_foo`) folds into it too.
    """
    while True:
        shorter = _SUFFIX.sub("", name)
        if shorter == name or not shorter:
            break
        name = shorter
    return name.removeprefix(_PREFIX_PADDING) or name


@dataclass(frozen=True, slots=True, eq=False)
class SymbolTable:
    """Function starts of one kernel.

    Attributes:
        addresses: where symbols begin, ascending, unique, shape (symbols,), uint64.
        owners: for each of them the index into `names`; 0 (unknown) where what begins
            there is no function, shape (symbols,), int64.
        names: distinct folded function names; `names[0]` is `[unknown]`.
        malformed: lines of the input that were no symbol.
    """

    addresses: NDArray[np.uint64]
    owners: NDArray[np.int64]
    names: tuple[str, ...]
    malformed: int = 0

    def lookup(self, addresses: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Index into `names` for each address: the function that begins at or before it."""
        place = np.searchsorted(self.addresses, addresses, side="right") - 1
        return np.where(place < 0, 0, self.owners[np.maximum(place, 0)]).astype(np.int64)

    def functions(
        self, addresses: NDArray[np.uint64], counts: NDArray[np.uint64]
    ) -> dict[str, int]:
        """Sums of `counts` by function, zero sums left out, in order of name.

        The values add up to `counts.sum()` exactly (integers below 2**64).
        """
        return self.sums(self.lookup(addresses), counts)

    def sums(self, owners: NDArray[np.int64], counts: NDArray[np.uint64]) -> dict[str, int]:
        """Like `functions`, for addresses that `lookup` has resolved already."""
        present, inverse = np.unique(owners, return_inverse=True)
        total = np.zeros(len(present), dtype=np.uint64)
        np.add.at(total, inverse, counts)
        sums = {self.names[o]: int(n) for o, n in zip(present, total, strict=True) if n}
        return dict(sorted(sums.items()))


def parse_kallsyms(text: bytes) -> SymbolTable:
    """The symbol table of /proc/kallsyms as the guest sent it.

    The guest is not trusted: the size is bounded and lines that are no symbol are counted,
    never guessed at. Where several symbols share an address one is chosen by a fixed rule,
    so that equal kernels give equal names.

    Raises:
        InfrastructureError: too large, or without a single kernel function (a kernel that
            hides its addresses shows them all as 0).
    """
    if len(text) > _MAX_BYTES:
        raise InfrastructureError(
            f"the symbol table has {len(text)} bytes, more than {_MAX_BYTES}",
            cause="the guest wrote garbage on the symbols channel",
        )
    best: dict[int, tuple[tuple[int, int, int, int, str], bool]] = {}
    malformed = 0
    for parsed in _symbols(text):
        if parsed is None:
            malformed += 1
            continue
        address, kind, name = parsed
        function = kind in _FUNCTION_TYPES
        rank = (
            0 if function else 1,
            1 if _SECTION_MARK.match(name) else 0,
            "TtWw".index(chr(kind)) if function else 0,
            len(name) - len(name.lstrip("_")) + len(name),
            name,
        )
        if address not in best or rank < best[address][0]:
            best[address] = (rank, function)
        if len(best) > _MAX_SYMBOLS:
            raise InfrastructureError(f"the symbol table has more than {_MAX_SYMBOLS} symbols")
    if not any(function for _, function in best.values()):
        raise InfrastructureError(
            "the symbol table names no kernel function",
            cause="the kernel hides its addresses, or the guest did not send /proc/kallsyms",
        )
    return _table(best, malformed)


def _symbols(text: bytes) -> Iterator[tuple[int, int, str] | None]:
    """(address, type byte, name) of each symbol in kernel space; None for a malformed line."""
    for line in text.split(b"\n"):
        fields = line.split(None, 3)
        if not fields:
            continue
        if len(fields) < 3 or len(fields[0]) != 16 or len(fields[1]) != 1:
            yield None
            continue
        try:
            address, name = int(fields[0], 16), fields[2].decode("ascii")
        except ValueError:
            yield None
            continue
        if len(name) > _MAX_NAME or not name.isprintable():
            yield None
        elif address >> 63:
            yield address, fields[1][0], name


def _table(
    best: dict[int, tuple[tuple[int, int, int, int, str], bool]], malformed: int
) -> SymbolTable:
    names: dict[str, int] = {UNKNOWN: 0}
    owners: list[int] = []
    order = sorted(best)
    for address in order:
        rank, function = best[address]
        owners.append(names.setdefault(fold(rank[-1]), len(names)) if function else 0)
    return SymbolTable(
        addresses=np.array(order, dtype=np.uint64),
        owners=np.array(owners, dtype=np.int64),
        names=tuple(names),
        malformed=malformed,
    )
