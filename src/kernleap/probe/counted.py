"""Counts of a counted boot as the samples and function profiles of its trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernleap.model.trial import Profile, Samples
from kernleap.probe.counts_file import CountsError, RegionCounts, VariantCounts, read_counts
from kernleap.probe.events import EVENTS
from kernleap.probe.symbols import SymbolTable

__all__ = ["CountsError", "RegionCounts", "read_counts", "to_profiles", "to_samples"]


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


def to_profiles(region: str, counts: RegionCounts, symbols: SymbolTable) -> tuple[Profile, ...]:
    """Function profiles of a region: each variant's (0 is the commonest), then all together (-1).

    In each, `sum(counts.values())` equals the kernel instructions of its operations exactly.
    """
    owners = symbols.lookup(counts.addresses)

    def split(profile: VariantCounts, keep: NDArray[np.bool_]) -> dict[str, int]:
        return symbols.sums(owners[profile.places[keep]], profile.counts[keep])

    def make(number: int, profile: VariantCounts, mine: NDArray[np.bool_]) -> Profile:
        repeated = counts.repeats[profile.places]
        chosen = counts.events[mine]
        rates = chosen.mean(axis=0) if len(chosen) else np.zeros(len(EVENTS))
        return Profile(
            region=region,
            variant=number,
            operations=profile.operations,
            counts=split(profile, ~repeated),
            rep_counts=split(profile, repeated),
            events=dict(zip(EVENTS, (float(r) for r in rates), strict=True)),
        )

    result = [make(i, p, counts.variant == i) for i, p in enumerate(counts.variants)]
    total = np.zeros(len(counts.addresses), dtype=np.uint64)
    for profile in (*counts.variants, counts.rest):
        total[profile.places] += profile.counts
    places = np.flatnonzero(total).astype(np.uint32)
    everything = VariantCounts(counts.operations, places, total[places])
    result.append(make(-1, everything, np.ones(counts.operations, dtype=np.bool_)))
    return tuple(result)
