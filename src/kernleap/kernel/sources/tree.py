"""`tree:PATH`: the image of a kernel source tree that has been built."""

from __future__ import annotations

from pathlib import Path

from kernleap.kernel.bootimage import inspect_path
from kernleap.kernel.cache import KernelCache
from kernleap.kernel.source import Artifact, Candidate, Progress, Resolved, register
from kernleap.kernel.sources.vmlinuz import fetch_files
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance

_IMAGES = {
    Arch.AMD64: ("arch/x86/boot/bzImage",),
    Arch.ARM64: ("arch/arm64/boot/Image", "arch/arm64/boot/Image.gz"),
}
_RELEASE_FILE = "include/config/kernel.release"


@register
class TreeSource:
    """A built tree, or a build directory made with `O=`."""

    name = "tree"
    takes_name = True
    name_hint = "the path of a built kernel tree"

    def check_name(self, name: str) -> str | None:
        """Any path may be right."""
        return None if name.strip() else "the path is blank"

    def resolve(
        self,
        ref: KernelRef,
        arch: Arch,
        cache: KernelCache,
        *,
        offline: bool,
        progress: Progress | None,
    ) -> Resolved:
        """Find the tree's image, configuration and release."""
        tree = Path(ref.name).expanduser().absolute()
        images = [tree / name for name in _IMAGES[arch] if (tree / name).is_file()]
        if not images:
            raise UsageError(
                "this tree has no built kernel image",
                where=f"{tree}/{_IMAGES[arch][0]}",
                cause="it is no kernel tree, or it has not been built for this architecture",
                next_step="build it (make), or give the directory that O= named",
            )
        release_file = tree / _RELEASE_FILE
        release = release_file.read_text().strip() if release_file.is_file() else ""
        config = tree / ".config"
        candidate = Candidate(
            release,
            Artifact(str(images[0]), package=str(tree)),
            Artifact(str(config)) if config.is_file() else None,
        )
        return Resolved(ref, arch, (candidate,), offline=offline)

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """Read, check, copy into the cache.

        A tree configured anew since its last build has a configuration that is not the
        image's: it is left out, and the image's note says so.
        """
        best = resolved.best
        _, image = inspect_path(Path(best.image.location), resolved.arch)
        if best.release and image.release and best.release != image.release:
            note = (
                f"the tree was configured for {best.release} after {image.release} was built; "
                "its configuration is left out"
            )
            stale = Candidate(image.release, best.image)
            resolved = Resolved(
                resolved.ref, resolved.arch, (stale,), notes=(*resolved.notes, note)
            )
        release = resolved.best.release
        return fetch_files(resolved, cache, release=release, package=best.image.package)

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """The tree on this machine, if it is this machine."""
        return KernelRef(self.name, provenance.package)
