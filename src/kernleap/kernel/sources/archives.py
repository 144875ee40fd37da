"""`deb:`, `rpm:` and `pacman:`: packages that the user has on disk."""

from __future__ import annotations

from pathlib import Path

from kernleap.archive.download import sha256_of
from kernleap.kernel.cache import KernelCache
from kernleap.kernel.fetch import image_from, store_kernel
from kernleap.kernel.package import read_packages
from kernleap.kernel.source import Artifact, Candidate, Progress, Resolved, register
from kernleap.kernel.sources.vmlinuz import existing_file
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance


class PackageSource:
    """One or more packages of a family, separated by commas: an image and its base, say."""

    name = ""
    takes_name = True
    name_hint = "the path of a package, or several separated by commas"

    def check_name(self, name: str) -> str | None:
        """No part may be empty."""
        return None if all(part.strip() for part in name.split(",")) else "an empty path"

    def resolve(
        self,
        ref: KernelRef,
        arch: Arch,
        cache: KernelCache,
        *,
        offline: bool,
        progress: Progress | None,
    ) -> Resolved:
        """The packages' paths, made absolute, with the digests they have now."""
        paths = [existing_file(part, str(ref)) for part in ref.name.split(",")]
        try:
            digests = [sha256_of(path) for path in paths]
        except OSError as error:
            raise UsageError(
                f"cannot read the package: {error.strerror or error}", where=str(error.filename)
            ) from error
        artifact = Artifact(
            location=",".join(str(path) for path in paths),
            package=",".join(path.name for path in paths),
            sha256=",".join(digests),
        )
        return Resolved(ref, arch, (Candidate("", artifact),), offline=offline)

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """Read the packages unless a kernel from these very bytes is in the cache."""
        artifact = resolved.best.image
        key = cache.record_key(self.name, resolved.arch.value, artifact.sha256)
        with cache.lock(key):
            record = cache.find_record(key)
            if record and record.provenance.package == artifact.location:
                try:
                    return image_from(cache, record, resolved.ref, resolved.notes)
                except InfrastructureError:  # damaged, or just evicted: read it again
                    record = None
            paths = [Path(text) for text in artifact.location.split(",")]
            if progress:
                progress(f"reading {artifact.package}", 0, 0)
            kernel = read_packages(paths, self.name)
            record = store_kernel(
                cache,
                key,
                image=kernel.image,
                config=kernel.config,
                release=kernel.release,
                arch=resolved.arch,
                provenance=Provenance(
                    self.name,
                    package=artifact.location,
                    package_sha256=artifact.sha256,
                    path=kernel.path,
                ),
            )
            return image_from(cache, record, resolved.ref, resolved.notes)

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """The same paths, on this machine."""
        return KernelRef(self.name, provenance.package)


@register
class DebSource(PackageSource):
    """Debian packages: `linux-image`, or `linux-binary` with `linux-base` for the config."""

    name = "deb"


@register
class RpmSource(PackageSource):
    """RPM packages, such as `kernel-core`."""

    name = "rpm"


@register
class PacmanSource(PackageSource):
    """Arch and CachyOS packages; with the headers package, the config comes too."""

    name = "pacman"
