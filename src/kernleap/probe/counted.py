"""Counts of a counted boot as the samples and function profiles of its trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernleap.model.trial import BY_SIDE, EVERYTHING, Profile, Samples
from kernleap.probe.counts import SIDES, RegionCounts, VariantCounts
from kernleap.probe.counts_file import CountsError, read_counts
from kernleap.probe.events import EVENTS, SIDED_EVENTS
from kernleap.probe.symbols import SymbolTable

__all__ = [
    "CountsError",
    "RegionCounts",
    "read_counts",
    "side_samples",
    "to_profiles",
    "to_samples",
]


def to_samples(region: str, counts: RegionCounts) -> tuple[Samples, ...]:
    """Samples of every quantity of a region (`workload/form`), one value per operation.

    Units: `instructions`, `iterations` (REP) and `events`.
    """

    def samples(quantity: str, unit: str, values: NDArray[np.unsignedinteger[Any]]) -> Samples:
        return Samples(f"{region}/{quantity}", unit, values.astype(np.float64))

    return (
        samples("kernel_instructions", "instructions", counts.kernel),
        samples("user_instructions", "instructions", counts.user),
        samples("rep_iterations", "iterations", counts.rep),
        samples("interrupt_instructions", "instructions", counts.interrupt),
        *(samples(name, "events", counts.events[:, i]) for i, name in enumerate(EVENTS)),
    )


def side_samples(region: str, counts: RegionCounts) -> tuple[Samples, ...]:
    """Samples of `QUANTITY_of_SIDE` for server, client and rest, one value per operation.

    In each operation the three add up to the quantity's total exactly. None where the region
    does not tell sides apart.
    """
    if not counts.sides:
        return ()
    samples = []

    def tell(
        name: str, unit: str, total: NDArray[np.unsignedinteger[Any]],
        parts: list[NDArray[np.unsignedinteger[Any]]],
    ) -> None:  # fmt: skip
        told = [part.astype(np.float64) for part in parts]
        rest = total.astype(np.float64) - sum(told)
        for label, values in zip((*SIDES, "rest"), (*told, rest), strict=True):
            samples.append(Samples(f"{region}/{name}_of_{label}", unit, values))

    sides = counts.sides
    tell("kernel_instructions", "instructions", counts.kernel, [s.kernel for s in sides])
    tell("user_instructions", "instructions", counts.user, [s.user for s in sides])
    for name in SIDED_EVENTS:
        event = EVENTS.index(name)
        tell(name, "events", counts.events[:, event], [s.events[:, event] for s in sides])
    return tuple(samples)


def to_profiles(region: str, counts: RegionCounts, symbols: SymbolTable) -> tuple[Profile, ...]:
    """Function profiles of a region: each variant's (0 is the commonest), all together, sides.

    In each, `sum(counts.values())` equals the kernel instructions of its operations exactly.
    """
    owners = symbols.lookup(counts.addresses)

    def split(profile: VariantCounts, keep: NDArray[np.bool_]) -> dict[str, int]:
        return symbols.sums(owners[profile.places[keep]], profile.counts[keep])

    def make(number: int, profile: VariantCounts, chosen: NDArray[np.uint32]) -> Profile:
        repeated = counts.repeats[profile.places]
        rates = chosen.mean(axis=0) if len(chosen) else np.zeros(len(EVENTS))
        return Profile(
            region=region,
            variant=number,
            operations=profile.operations,
            counts=split(profile, ~repeated),
            rep_counts=split(profile, repeated),
            events=dict(zip(EVENTS, (float(r) for r in rates), strict=True)),
        )

    result = [make(i, p, counts.events[counts.variant == i]) for i, p in enumerate(counts.variants)]
    total = np.zeros(len(counts.addresses), dtype=np.uint64)
    for profile in (*counts.variants, counts.rest):
        total[profile.places] += profile.counts
    places = np.flatnonzero(total).astype(np.uint32)
    everything = VariantCounts(counts.operations, places, total[places])
    result.append(make(EVERYTHING, everything, counts.events))
    if counts.sides:
        for label, side in zip(SIDES, counts.sides, strict=True):
            result.append(make(BY_SIDE[label], side.profile, side.events))
    return tuple(result)
