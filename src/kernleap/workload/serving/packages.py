"""llama.cpp from Debian's archive, unpacked beside the system and never installed.

A tree is a directory of files from packages of one suite, named by the digest over those
packages; its programs are started with its own dynamic linker, so that neither the host's C
library nor its version matters, and hosts and guests run the same bytes. Which packages are
*the* tree is decided once and kept until asked anew: runs of different days then have the same
engine.

    cache_dir()/engines/llama.cpp/ARCH/current.json   the packages in use
    cache_dir()/engines/llama.cpp/ARCH/DIGEST/root/   the files; DIGEST/tree.json their digests
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kernleap import paths
from kernleap.archive.apt import IndexFile, NotServedError, PrivateApt
from kernleap.archive.closure import Package, SuiteIndex, UnresolvedError
from kernleap.archive.download import fetch_verified, sha256_of
from kernleap.archive.unpack import unpack_debs
from kernleap.kernel import KernelCache, Progress, is_offline
from kernleap.kernel.cache import write_atomically
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch
from kernleap.workload.serving.tree import (
    LAYOUT,
    ROOTS,
    EngineTree,
    guest_files,
    is_wanted,
    link_backends,
    open_tree,
    tree_digest,
)

__all__ = ["EngineTree", "guest_files", "llama_tree"]


SUITES = ("forky", "sid")
"""Where llama.cpp is packaged, the steadier first."""
_LISTS_MAX_AGE_S = 24 * 3600

_verified: set[Path] = set()
"""Trees whose digests this process has checked."""


def llama_tree(
    arch: Arch = Arch.AMD64,
    *,
    offline: bool = False,
    renew: bool = False,
    progress: Progress | None = None,
) -> EngineTree:
    """llama.cpp for `arch`, fetched and unpacked on first use.

    Args:
        offline: use what is cached, or fail. KERNLEAP_OFFLINE=1 says the same.
        renew: look for newer packages instead of those in use.

    Raises:
        InfrastructureError: it is not cached and cannot be fetched.
        TamperedError: a package does not match the signed index, or is hostile.
    """
    home = paths.cache_dir() / "engines" / "llama.cpp" / arch.value
    cache = KernelCache()
    offline = is_offline(offline)
    with cache.lock(f"llama.cpp-{arch.value}"):
        packages = () if renew and not offline else _current(home)
        if packages and (tree := _open(home, arch, packages)):
            return tree
        if offline:
            raise InfrastructureError(
                "llama.cpp is not in the cache, and kernleap is told to stay offline",
                where=f"architecture {arch.value}",
                next_step="run the same command once with a network",
            )
        apt = PrivateApt(cache.root / "apt" / arch.value, arch.value)
        with cache.lock(f"apt-{arch.value}"):
            maker = _Maker(home, arch, apt, cache, progress)
            if packages:
                maker.refresh_lists()
                with suppress(NotServedError):  # if so, newer packages have to do
                    return maker.make(packages)
            return maker.newest()


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes trees below `home`. Its holder has the locks of the tree and of apt."""

    home: Path
    arch: Arch
    apt: PrivateApt
    cache: KernelCache
    progress: Progress | None

    def newest(self) -> EngineTree:
        """A tree of the newest packages that the mirror really serves."""
        complaints: list[str] = []
        for again in (False, True):
            self.refresh_lists(now=again)
            complaints.clear()
            for index in sorted(self._indexes(), key=lambda i: SUITES.index(i.suite)):
                text = self.apt.read_index(index)
                try:
                    suite = SuiteIndex(index.suite, text)
                    return self.make(suite.library_closure(ROOTS))
                except UnresolvedError as error:
                    complaints.append(str(error))
                except NotServedError as error:
                    complaints.append(f"{index.suite} lists what is not served: {error}")
        raise InfrastructureError(
            f"llama.cpp for {self.arch.value} cannot be had from Debian's archive",
            where=", ".join(SUITES),
            cause="; ".join(complaints) or "the mirror has no index of these suites",
            next_step="try another mirror, or give an engine that runs: openai:URL",
        )

    def make(self, packages: tuple[Package, ...]) -> EngineTree:
        """Fetch, unpack, check and enter a tree. NotServedError if a package is not served."""
        self.home.mkdir(parents=True, exist_ok=True)
        target = self.home / tree_digest(self.arch, packages)
        if tree := _open(self.home, self.arch, packages):
            self._record(packages)
            return tree
        with self.cache.scratch() as scratch:
            debs = _download(packages, self.apt, scratch, self.progress)
            fresh = scratch / "tree"
            (fresh / "root").mkdir(parents=True)
            written = unpack_debs(debs, fresh / "root", is_wanted)
            written |= link_backends(fresh / "root", self.arch)
            guest_files(open_tree(fresh, self.arch, packages))  # raises unless the server is whole
            digests = {p: t or sha256_of(fresh / "root" / p) for p, t in sorted(written.items())}
            (fresh / "tree.json").write_text(json.dumps({"files": digests}, indent=1))
            if target.exists():
                shutil.rmtree(target)
            shutil.move(fresh, target)
        self._record(packages)
        _verified.add(target)
        return open_tree(target, self.arch, packages)

    def _record(self, packages: tuple[Package, ...]) -> None:
        record = {"layout": LAYOUT, "packages": [asdict(p) for p in packages]}
        current = self.home / "current.json"
        write_atomically(current, json.dumps(record, indent=1).encode(), self.home)

    def _indexes(self) -> list[IndexFile]:
        if not (self.apt.root / "mirror").is_file():
            return []
        return [index for index in self.apt.indexes() if index.suite in SUITES]

    def refresh_lists(self, now: bool = False) -> None:
        """Make sure that apt has package lists, of today where possible, or of this moment."""
        have = bool(self._indexes())
        made = (self.apt.root / "mirror").stat().st_mtime if have else 0.0
        if time.time() - made < (0 if now else _LISTS_MAX_AGE_S):
            return
        if self.progress:
            self.progress("index of Debian's packages", 0, 0)
        try:
            self.apt.update()
        except InfrastructureError:
            if not have or now:
                raise


def _download(
    packages: Sequence[Package], apt: PrivateApt, scratch: Path, progress: Progress | None
) -> list[Path]:
    total = sum(package.size for package in packages)
    done = 0

    def report(bytes_here: int) -> None:
        if progress:
            progress("llama.cpp", done + bytes_here, total)

    debs = []
    for package in packages:
        debs.append(
            fetch_verified(
                apt,
                f"{apt.mirror_uri}/{package.path}",
                scratch / f"{package.name}.deb",
                package=package.name,
                sha256=package.sha256,
                size=package.size,
                report=report,
            )
        )
        done += package.size
    return debs


def _open(home: Path, arch: Arch, packages: tuple[Package, ...]) -> EngineTree | None:
    """The tree of these packages if it is there and whole; a damaged one is removed."""
    target = home / tree_digest(arch, packages)
    if target not in _verified or not (target / "tree.json").is_file():
        try:
            files = json.loads((target / "tree.json").read_bytes())["files"]
            whole = all(_matches(target / "root" / path, text) for path, text in files.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            shutil.rmtree(target, ignore_errors=True)
            return None
        _verified.add(target)
    return open_tree(target, arch, packages)


def _matches(path: Path, recorded: str) -> bool:
    if path.is_symlink():
        return str(path.readlink()) == recorded
    return sha256_of(path) == recorded


def _current(home: Path) -> tuple[Package, ...]:
    """The packages in use; none if that is not recorded by this version."""
    try:
        raw = json.loads((home / "current.json").read_bytes())
        if raw["layout"] != LAYOUT:
            return ()
        return tuple(Package(**package) for package in raw["packages"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
