"""`debian:` kernels of Debian's archive, by series, version or release."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from kernleap.archive.apt import NotServedError, PrivateApt
from kernleap.archive.apt_sources import SUITES
from kernleap.archive.download import fetch_verified
from kernleap.kernel import catalogue
from kernleap.kernel.cache import KernelCache, Record, write_atomically
from kernleap.kernel.catalogue import Index
from kernleap.kernel.fetch import image_from, store_kernel
from kernleap.kernel.package import read_packages
from kernleap.kernel.source import Artifact, Candidate, Progress, Resolved, register
from kernleap.model.errors import InfrastructureError, KernleapError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance

INDEX_MAX_AGE_S = 24 * 3600
_RECHECK_AGE_S = 600
"""A name that does not resolve makes an index this old be refreshed once more."""


@register
class DebianSource:
    """Kernels through apt, privately."""

    name = "debian"
    takes_name = True
    name_hint = "a series (7.2), a version (7.2.12) or a release (7.2.12+deb13-cloud-amd64)"

    def check_name(self, name: str) -> str | None:
        """A series, version or release is made of few characters."""
        if re.fullmatch(r"\d+\.\d+[A-Za-z0-9.+~_\-]*", name) and ".." not in name:
            return None
        return f"`{name}` is not {self.name_hint}"

    def resolve(
        self,
        ref: KernelRef,
        arch: Arch,
        cache: KernelCache,
        *,
        offline: bool,
        progress: Progress | None,
    ) -> Resolved:
        """Look `ref` up in the index, refreshed if it is old or does not know it."""
        index, notes = current_index(arch, cache, offline=offline, progress=progress)
        found, exact = catalogue.select(index.kernels if index else (), ref.name, arch)
        age = time.time() - index.made if index else 0.0
        if not found and not offline and age > _RECHECK_AGE_S:
            index, notes = current_index(arch, cache, max_age_s=0, progress=progress)
            found, exact = catalogue.select(index.kernels if index else (), ref.name, arch)
        if not found:
            # The archive forgets kernels; the cache need not.
            found, exact = catalogue.select(cached_candidates(cache, arch), ref.name, arch)
        if found and offline:
            cached = tuple(c for c in found if cache.find_record(_key(cache, c, arch)))
            if cached and cached[0] is not found[0]:
                notes += (f"offline: {cached[0].release} stands in for {found[0].release}",)
            found = cached
        if not found:
            raise _unknown(ref, arch, index, offline)
        return Resolved(ref, arch, found, exact, offline, notes)

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """The first candidate that the mirror really serves."""
        notes = resolved.notes
        refused = _refused_dir(cache, resolved.arch)
        for candidate in resolved.candidates:
            key = _key(cache, candidate, resolved.arch)
            with cache.lock(key):
                record = cache.find_record(key)
                if record:
                    try:
                        return image_from(cache, record, resolved.ref, notes)
                    except InfrastructureError:  # damaged, or just evicted
                        if resolved.offline:
                            raise
                        notes += ("the cached copy was damaged, and is fetched again",)
                elif resolved.offline:
                    continue
                elif (refused / candidate.image.sha256).exists():
                    notes += (f"{candidate.release} is listed, but not served by the mirror",)
                    continue
                try:
                    record = _download(candidate, resolved.arch, cache, progress, key)
                except NotServedError:
                    refused.mkdir(parents=True, exist_ok=True)
                    (refused / candidate.image.sha256).touch()
                    notes += (f"{candidate.release} is listed, but not served by the mirror",)
                    continue
                return image_from(cache, record, resolved.ref, notes)
        raise InfrastructureError(
            f"no kernel that `{resolved.ref.base}` may mean can be downloaded",
            where=", ".join(candidate.release for candidate in resolved.candidates),
            cause="the mirror lists them but does not serve them",
            next_step="try another version: kernleap kernels list --all",
        )

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """A full release names one kernel."""
        return KernelRef(self.name, release)


def current_index(
    arch: Arch,
    cache: KernelCache,
    *,
    offline: bool = False,
    max_age_s: float = INDEX_MAX_AGE_S,
    progress: Progress | None = None,
) -> tuple[Index | None, tuple[str, ...]]:
    """The index of Debian's kernels, refreshed when it is older than `max_age_s`.

    Returns:
        The index (None only when offline and never made), and notes on how good it is.

    Raises:
        InfrastructureError: there is no index and none can be made.
    """
    path = _index_path(cache, arch)
    index = catalogue.load(path)
    if offline or (index and time.time() - index.made <= max_age_s):
        return index, ()
    asked = time.time()
    with cache.lock(f"apt-{arch.value}"):
        index = catalogue.load(path)
        fresh_since = asked if max_age_s == 0 else time.time() - max_age_s
        if index and index.made >= fresh_since:  # another process was faster
            return index, ()
        if progress:
            progress("index of Debian's kernels", 0, 0)
        try:
            return _refresh(arch, cache, path), ()
        except InfrastructureError as error:
            if index is None:
                raise
            made = time.strftime("%Y-%m-%d", time.gmtime(index.made))
            return index, (f"the index is of {made}; refreshing it failed: {error.what}",)


def is_cached(cache: KernelCache, candidate: Candidate, arch: Arch) -> bool:
    """Whether the bytes of a candidate are in the cache."""
    return cache.find_record(_key(cache, candidate, arch)) is not None


def _refresh(arch: Arch, cache: KernelCache, path: Path) -> Index:
    apt = _apt(cache, arch)
    remarks = apt.update()
    order = {suite: number for number, suite in enumerate(SUITES)}
    files = sorted(apt.indexes(), key=lambda f: order.get(f.suite, len(order)))
    texts = ((f.suite, f.base_uri, apt.read_index(f)) for f in files)
    index = catalogue.build_index(texts, arch, time.time(), remarks)
    if not index.kernels:
        raise InfrastructureError(
            f"the mirror lists no kernels for {arch.value}",
            where=", ".join(sorted({f.base_uri for f in files})),
        )
    write_atomically(path, catalogue.dump(index), cache.root / "tmp")
    shutil.rmtree(_refused_dir(cache, arch), ignore_errors=True)
    return index


def _download(
    candidate: Candidate, arch: Arch, cache: KernelCache, progress: Progress | None, key: str
) -> Record:
    """Fetch a candidate's packages, check them against the index, and keep its kernel.

    Raises:
        NotServedError: the mirror does not have the image.
    """
    apt = _apt(cache, arch)
    notes: tuple[str, ...] = ()
    with cache.scratch() as scratch:
        paths = [_fetch_artifact(apt, candidate.image, scratch / "image.deb", progress)]
        if candidate.config:
            try:
                paths.append(
                    _fetch_artifact(apt, candidate.config, scratch / "config.deb", progress)
                )
            except NotServedError:
                notes = ("its configuration is listed, but not served by the mirror",)
        try:
            kernel = read_packages(paths, "deb")
        except KernleapError as error:
            error.where = ", ".join(_packages_of(candidate))
            raise
    image = candidate.image
    provenance = Provenance(
        "debian", image.package, image.version, image.suite, image.sha256, kernel.path
    )
    return store_kernel(
        cache,
        key,
        image=kernel.image,
        config=kernel.config,
        release=candidate.release,
        arch=arch,
        provenance=provenance,
        candidate=candidate,
        notes=notes,
    )


def _fetch_artifact(
    apt: PrivateApt, artifact: Artifact, target: Path, progress: Progress | None
) -> Path:
    def report(done: int) -> None:
        if progress:
            progress(artifact.package, done, artifact.size)

    return fetch_verified(
        apt,
        artifact.location,
        target,
        package=artifact.package,
        sha256=artifact.sha256,
        size=artifact.size,
        report=report,
    )


def _packages_of(candidate: Candidate) -> list[str]:
    artifacts = (candidate.image, candidate.config)
    return [f"{a.package} {a.version}" for a in artifacts if a]


def _apt(cache: KernelCache, arch: Arch) -> PrivateApt:
    return PrivateApt(cache.root / "apt" / arch.value, arch.value)


def _index_path(cache: KernelCache, arch: Arch) -> Path:
    return cache.root / "index" / f"debian-{arch.value}.json"


def _refused_dir(cache: KernelCache, arch: Arch) -> Path:
    """Empty files named by the digest of what the mirror lists but does not serve."""
    return cache.root / "index" / f"refused-{arch.value}"


def _key(cache: KernelCache, candidate: Candidate, arch: Arch) -> str:
    return cache.record_key("debian", arch.value, candidate.image.sha256)


def cached_candidates(cache: KernelCache, arch: Arch) -> list[Candidate]:
    """Debian kernels whose bytes are in the cache, newest first."""
    from debian.debian_support import Version  # noqa: PLC0415  (slow to import, seldom needed)

    candidates = [
        record.candidate
        for record in cache.records()
        if record.candidate and record.source == "debian" and record.arch == arch.value
    ]
    return sorted(candidates, key=lambda c: Version(c.image.version), reverse=True)


def _unknown(ref: KernelRef, arch: Arch, index: Index | None, offline: bool) -> KernleapError:
    if offline:
        return InfrastructureError(
            f"`{ref.base}` is not in the cache, and kernleap is told to stay offline",
            where=f"architecture {arch.value}",
            next_step=f"with a network: kernleap kernels fetch {ref.base}",
        )
    kernels = index.kernels if index else ()
    prefix = ".".join(ref.name.split(".")[:2])
    near = [k.release for k in kernels if k.release.startswith(prefix)]
    series = dict.fromkeys(catalogue.series_of(k) for k in kernels)
    listed = ", ".join(near[:6]) if near else "series " + ", ".join(series)
    return UsageError(
        f"Debian's archive has no kernel `{ref.name}` for {arch.value}",
        where=str(ref),
        cause=f"there are: {listed}",
        next_step="kernleap kernels list --all",
    )
