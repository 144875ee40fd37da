"""Gathering the facts about a kernel that judging its risk needs."""

from __future__ import annotations

from pathlib import Path

from kernleap.kernel.package.metadata import read_metadata
from kernleap.kernel.patches import patches_of_tree, read_patches
from kernleap.kernel.signature import image_signature
from kernleap.model.errors import InfrastructureError, KernleapError
from kernleap.model.kernel import KernelImage, KernelRef, ModifierKind
from kernleap.model.kernel_facts import ImageSignature, KernelFacts, PackageFacts, PatchFacts

_FAMILIES = {"deb", "rpm", "pacman"}


def gather_facts(
    image: KernelImage, ref: KernelRef | None = None, *, arm: str = "", patches: Path | None = None
) -> KernelFacts:
    """Facts about a kernel in the cache; its packages and tree are read if they are still there.

    Args:
        ref: the reference with its modifiers; by default the image's.
        arm: name of the arm; by default the reference.
        patches: where its patches are, if not in its tree (`read_patches`).

    Raises:
        UsageError: `patches` cannot be read.
        InfrastructureError: the image cannot be read.
    """
    ref = ref or image.ref
    provenance = image.provenance
    notes = list(image.notes)
    packages: tuple[PackageFacts, ...] = ()
    if provenance.source in _FAMILIES:
        paths = [Path(part) for part in provenance.package.split(",")]
        try:
            packages = read_metadata(paths, provenance.source)
        except KernleapError as error:
            notes.append(f"what its packages say of themselves is not known: {error.what}")
    elif provenance.package and provenance.version:
        packages = (PackageFacts("deb", provenance.package, provenance.version),)
    version = provenance.version or next((package.version for package in packages), "")
    return KernelFacts(
        arm=arm or str(ref),
        ref=str(ref),
        release=image.release,
        arch=image.arch.value,
        version=version,
        kernel_sha256=image.sha256,
        source=provenance.source,
        suite=provenance.suite,
        cmdline=tuple(
            modifier.key if modifier.value is None else f"{modifier.key}={modifier.value}"
            for modifier in ref.modifiers
            if modifier.kind is ModifierKind.CMDLINE
        ),
        packages=packages,
        signature=_signature(image),
        patches=_patches(image, patches),
        notes=tuple(notes),
    )


def _signature(image: KernelImage) -> ImageSignature:
    try:
        return image_signature(image.vmlinuz.read_bytes())
    except OSError as error:
        raise InfrastructureError(
            f"cannot read the kernel: {error.strerror or error}", where=str(image.vmlinuz)
        ) from error


def _patches(image: KernelImage, given: Path | None) -> PatchFacts | None:
    if given is not None:
        return read_patches(given)
    if image.provenance.source == "tree":
        return patches_of_tree(Path(image.provenance.package))
    return None
