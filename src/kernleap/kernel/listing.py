"""What kernels there are to choose from: the catalogue and the cache, as one list."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.kernel import catalogue
from kernleap.kernel.cache import KernelCache
from kernleap.kernel.sources.debian import cached_candidates, current_index, is_cached
from kernleap.model.kernel import Arch


@dataclass(frozen=True, slots=True)
class Listed:
    """One kernel that can be had. `suite` is "" when only the cache still has it."""

    series: str
    release: str
    flavour: str
    version: str
    suite: str
    cached: bool
    size_bytes: int
    """Size of the package that carries the image."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Kernels, newest first, and how good the index behind them is."""

    arch: Arch
    made: float | None
    """When the index was made, in seconds since the epoch; None if there is none."""
    kernels: tuple[Listed, ...]
    notes: tuple[str, ...]


def list_kernels(
    arch: Arch, *, every: bool = False, offline: bool = False, cache: KernelCache | None = None
) -> Listing:
    """What every series means (`debian:SERIES`), or with `every` all kernels of all flavours.

    Raises:
        InfrastructureError: there is no index and none can be made (never when offline).
    """
    cache = cache or KernelCache()
    index, notes = current_index(arch, cache, offline=offline)
    listed = list(index.kernels) if index else []
    known = {(kernel.release, kernel.image.version) for kernel in listed}
    gone = [
        kernel
        for kernel in cached_candidates(cache, arch)
        if (kernel.release, kernel.image.version) not in known
    ]
    kernels = [*listed, *gone]
    if not every:
        of_series = (
            catalogue.select(kernels, series, arch)[0]
            for series in dict.fromkeys(catalogue.series_of(kernel) for kernel in kernels)
        )
        kernels = [found[0] for found in of_series if found]
    entries = []
    for kernel in kernels:
        entries.append(
            Listed(
                catalogue.series_of(kernel),
                kernel.release,
                catalogue.flavour_of(kernel.release, arch) or "",
                kernel.image.version,
                "" if kernel in gone else kernel.image.suite,
                is_cached(cache, kernel, arch),
                kernel.image.size,
            )
        )
    remarks = index.remarks if index else ("offline, and no index was ever made",)
    return Listing(arch, index.made if index else None, tuple(entries), notes + remarks)
