"""From resolved to cached: what all sources share once they know where the bytes are."""

from __future__ import annotations

from kernleap.kernel import bootimage
from kernleap.kernel.cache import KernelCache, Record
from kernleap.kernel.source import Candidate
from kernleap.model.errors import TamperedError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance


def store_kernel(
    cache: KernelCache,
    key: str,
    *,
    image: bytes,
    config: bytes | None,
    release: str,
    arch: Arch,
    provenance: Provenance,
    candidate: Candidate | None = None,
    notes: tuple[str, ...] = (),
) -> Record:
    """Check a kernel's bytes, put them into the cache, and record where they came from.

    `release` is what the source calls the kernel, "" if it does not say; what the image says
    of itself is the truth, because that is what `uname -r` will print.

    Raises:
        UsageError: it is no bootable image for `arch`.
        TamperedError: the image calls itself something else than its package does.
    """
    where = f"{provenance.package or provenance.source}: {provenance.path}"
    found = bootimage.inspect_for(image, arch, where)
    if release and found.release and release != found.release:
        raise TamperedError(
            f"the kernel calls itself {found.release}, its package says {release}",
            where=where,
            cause="the package or the file was put together by hand",
            next_step="give the image itself with vmlinuz:PATH if you trust it",
        )
    record = Record(
        source=provenance.source,
        arch=arch.value,
        release=found.release or release or "unknown",
        image_sha256=cache.add_bytes(image),
        kconfig_sha256=cache.add_bytes(config) if config else "",
        provenance=provenance,
        candidate=candidate,
        notes=notes,
    )
    cache.put_record(key, record)
    return record


def image_from(
    cache: KernelCache, record: Record, ref: KernelRef, notes: tuple[str, ...] = ()
) -> KernelImage:
    """The kernel of a record, its bytes verified. TamperedError if they do not match."""
    return KernelImage(
        ref=ref,
        release=record.release,
        arch=Arch(record.arch),
        vmlinuz=cache.get(record.image_sha256),
        sha256=record.image_sha256,
        provenance=record.provenance,
        kconfig=cache.get(record.kconfig_sha256) if record.kconfig_sha256 else None,
        notes=record.notes + notes,
    )
