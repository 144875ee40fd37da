"""Kernels: from a reference to bytes that boot.

`parse_ref` reads the text, `resolve` says what it means without downloading a kernel, `fetch`
brings the bytes into the content-addressed cache, `obtain` does both.
"""

from __future__ import annotations

import os

from kernleap.kernel import source as registry
from kernleap.kernel.cache import KernelCache
from kernleap.kernel.fetch import image_from
from kernleap.kernel.ref import parse_ref
from kernleap.kernel.source import Progress, Resolved
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance
from kernleap.model.run import ArmInputs

__all__ = [
    "KernelCache",
    "Progress",
    "Resolved",
    "fetch",
    "obtain",
    "obtain_by_digest",
    "parse_ref",
    "resolve",
]


def is_offline(offline: bool = False) -> bool:
    """Whether to stay off the network: asked for, or `KERNLEAP_OFFLINE=1`."""
    return offline or os.environ.get("KERNLEAP_OFFLINE", "") not in {"", "0"}


def resolve(
    ref: KernelRef,
    *,
    arch: Arch,
    cache: KernelCache | None = None,
    offline: bool = False,
    progress: Progress | None = None,
) -> Resolved:
    """Say which kernel `ref` means and where its bytes are; downloads no kernel.

    Raises:
        UsageError: there is no such kernel.
        InfrastructureError: the catalogue cannot be had.
    """
    source = registry.get(ref.source)
    return source.resolve(
        ref, arch, cache or KernelCache(), offline=is_offline(offline), progress=progress
    )


def fetch(
    resolved: Resolved, *, cache: KernelCache | None = None, progress: Progress | None = None
) -> KernelImage:
    """Bring a resolved kernel into the cache, unless it is there.

    Raises:
        UsageError: the bytes are no kernel for this architecture.
        InfrastructureError: download or disk failed. TamperedError: digests do not match.
    """
    source = registry.get(resolved.ref.source)
    return source.fetch(resolved, cache or KernelCache(), progress)


def obtain(
    ref: KernelRef, *, arch: Arch, offline: bool = False, progress: Progress | None = None
) -> KernelImage:
    """Resolve and fetch. Errors as of `resolve` and `fetch`."""
    cache = KernelCache()
    resolved = resolve(ref, arch=arch, cache=cache, offline=offline, progress=progress)
    return fetch(resolved, cache=cache, progress=progress)


def obtain_by_digest(
    inputs: ArmInputs,
    arch: Arch,
    *,
    offline: bool = False,
    progress: Progress | None = None,
) -> KernelImage:
    """The very kernel of an earlier run: from the cache, else fetched from where it came.

    Raises:
        InfrastructureError: it cannot be had here.
        TamperedError: what is there now has another digest; says which.
    """
    cache = KernelCache()
    for record in cache.records():
        if record.image_sha256 == inputs.kernel_sha256 and record.arch == arch.value:
            ref = registry.get(record.source).ref_for(record.provenance, record.release)
            return image_from(cache, record, ref)
    provenance = Provenance(**inputs.provenance)
    ref = registry.get(provenance.source).ref_for(provenance, inputs.release)
    try:
        resolved = resolve(ref, arch=arch, cache=cache, offline=offline, progress=progress)
        image = fetch(resolved, cache=cache, progress=progress)
    except UsageError as error:
        raise InfrastructureError(
            f"the kernel of arm `{inputs.arm}` can no longer be had: {error.what}",
            where=error.where,
            cause=error.cause or "it has left the archive, or the file was moved",
            next_step=f"find a copy with sha256 {inputs.kernel_sha256} and give vmlinuz:PATH",
        ) from error
    if image.sha256 != inputs.kernel_sha256:
        raise TamperedError(
            f"the kernel of arm `{inputs.arm}` has changed since the run",
            where=f"{provenance.package or provenance.path} {provenance.version}".strip(),
            cause=f"expected sha256 {inputs.kernel_sha256}, got {image.sha256}",
            next_step="reproduce with the kernel of that digest, or make a new run",
        )
    return image
