"""Kernel sources: what they must offer, the registry they enter themselves in, and the
records that pass between resolving and fetching.

Resolving says *which* bytes are meant and where they are, and downloads no kernel; fetching
brings them into the cache. A source is one module of kernleap.kernel.sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance

if TYPE_CHECKING:
    from kernleap.kernel.cache import KernelCache

Progress = Callable[[str, int, int], None]
"""Called with (what, bytes done, bytes in total or 0 when unknown)."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that holds (a part of) a kernel: a package in an archive, or a path on disk.

    `location` is a URI for archives, an absolute path for local files. `sha256` and `size`
    are what a signed index promises, "" and 0 where nothing does.
    """

    location: str
    package: str = ""
    version: str = ""
    suite: str = ""
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One kernel that a reference may mean. `release` is "" until the bytes are read."""

    release: str
    image: Artifact
    config: Artifact | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference means: candidates, best first; never empty.

    `exact` says that the user named this very kernel, so no other may stand in for it.
    """

    ref: KernelRef
    arch: Arch
    candidates: tuple[Candidate, ...]
    exact: bool = True
    offline: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def best(self) -> Candidate:
        """The candidate that fetching tries first."""
        return self.candidates[0]


class Source(Protocol):
    """A kernel source. One instance each, registered at import."""

    name: str
    takes_name: bool
    name_hint: str
    """What the name must be, for `SOURCE: needs ...`."""

    def check_name(self, name: str) -> str | None:
        """Why `name` cannot be right, or None. Looks at the text alone."""
        ...

    def resolve(
        self,
        ref: KernelRef,
        arch: Arch,
        cache: KernelCache,
        *,
        offline: bool,
        progress: Progress | None,
    ) -> Resolved:
        """Say what `ref` means. UsageError if nothing, InfrastructureError if unknowable."""
        ...

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """Bring the bytes into the cache."""
        ...

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """The reference under which the kernel of an earlier run can be had again."""
        ...


_SOURCES: dict[str, Source] = {}
_S = TypeVar("_S", bound=type)


def register(source_class: _S) -> _S:
    """Class decorator: enter one instance of a source under its name."""
    instance: Source = source_class()
    _SOURCES[instance.name] = instance
    return source_class


def find(name: str) -> Source | None:
    """The source of that name, if there is one."""
    _load()
    return _SOURCES.get(name)


def get(name: str) -> Source:
    """The source of that name. KeyError if there is none."""
    _load()
    return _SOURCES[name]


def all_sources() -> tuple[Source, ...]:
    """Every registered source, by name."""
    _load()
    return tuple(_SOURCES[name] for name in sorted(_SOURCES))


def _load() -> None:
    # Importing the package imports each of its modules, which register themselves.
    import kernleap.kernel.sources  # noqa: F401, PLC0415
