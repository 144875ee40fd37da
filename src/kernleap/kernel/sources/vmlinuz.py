"""`vmlinuz:PATH`: a boot image on disk, taken as it is."""

from __future__ import annotations

import gzip
from pathlib import Path

from kernleap.kernel.bootimage import inspect_path
from kernleap.kernel.cache import KernelCache
from kernleap.kernel.fetch import image_from, store_kernel
from kernleap.kernel.source import Artifact, Candidate, Progress, Resolved, register
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance


@register
class VmlinuzSource:
    """A file that boots. A `config-RELEASE` beside `vmlinuz-RELEASE` is taken along."""

    name = "vmlinuz"
    takes_name = True
    name_hint = "the path of a vmlinuz, bzImage or arm64 Image"

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
        """The path, made absolute."""
        path = existing_file(ref.name, str(ref))
        config = path.with_name(path.name.replace("vmlinuz-", "config-", 1))
        has_config = config != path and config.is_file()
        candidate = Candidate(
            "", Artifact(str(path)), Artifact(str(config)) if has_config else None
        )
        return Resolved(ref, arch, (candidate,), offline=offline)

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """Read, check, copy into the cache."""
        return fetch_files(resolved, cache)

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """The path on this machine, if it is this machine."""
        return KernelRef(self.name, provenance.path)


def existing_file(text: str, where: str) -> Path:
    """`text` as an absolute path of a regular file. UsageError if there is none."""
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        what = "a directory" if path.is_dir() else "no such file"
        raise UsageError(f"{what}: {path}", where=where, next_step="check the path")
    return path


def fetch_files(
    resolved: Resolved,
    cache: KernelCache,
    *,
    release: str = "",
    package: str = "",
    notes: tuple[str, ...] = (),
) -> KernelImage:
    """Put a boot image on disk, and its configuration if known, into the cache.

    `release` is what the source calls it, `package` what provenance is to remember.

    Raises:
        UsageError: unreadable, or no boot image for this architecture.
    """
    candidate = resolved.best
    path = Path(candidate.image.location)
    try:
        data, _ = inspect_path(path, resolved.arch)
        config = _read_config(Path(candidate.config.location)) if candidate.config else None
    except OSError as error:
        raise UsageError(
            f"cannot read the kernel: {error.strerror or error}",
            where=str(error.filename or path),
            next_step="check its permissions",
        ) from error
    source = resolved.ref.source
    record = store_kernel(
        cache,
        cache.record_key(source, resolved.arch.value, str(path)),
        image=data,
        config=config,
        release=release,
        arch=resolved.arch,
        provenance=Provenance(source, package=package, path=str(path)),
    )
    return image_from(cache, record, resolved.ref, resolved.notes + notes)


def _read_config(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
