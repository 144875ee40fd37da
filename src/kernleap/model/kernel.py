"""Kernels: what a user names, and what a name becomes once its bytes are at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class ModifierKind(StrEnum):
    """How a modifier reaches the kernel: boot parameter, or a knob set after boot."""

    CMDLINE = "cmdline"
    SYSCTL = "sysctl"
    DEBUGFS = "debugfs"
    SYSFS = "sysfs"


class Arch(StrEnum):
    """Machine architectures, by Debian's names."""

    AMD64 = "amd64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Modifier:
    """One `+KIND:KEY=VALUE`. A cmdline modifier may have no value (`+cmdline:nosmt`)."""

    kind: ModifierKind
    key: str
    value: str | None

    def __str__(self) -> str:
        tail = "" if self.value is None else f"={self.value}"
        return f"+{self.kind}:{self.key}{tail}"


@dataclass(frozen=True, slots=True)
class KernelRef:
    """A reference as the user wrote it: `SOURCE:NAME[+KIND:KEY=VALUE]...`, parsed.

    `source` is the registered name (`debian`, `deb`, `rpm`, `pacman`, `vmlinuz`, `tree`,
    `host`); `name` is what follows the colon ("" for `host`). For `deb:` several paths
    may be given, separated by commas.
    """

    source: str
    name: str
    modifiers: tuple[Modifier, ...] = ()

    def __str__(self) -> str:
        head = self.source if not self.name else f"{self.source}:{self.name}"
        return head + "".join(str(m) for m in self.modifiers)

    @property
    def base(self) -> KernelRef:
        """The same kernel without modifiers."""
        return KernelRef(self.source, self.name)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the bytes of a kernel came from. Empty strings mean *not known*."""

    source: str
    package: str = ""
    version: str = ""
    suite: str = ""
    package_sha256: str = ""
    path: str = ""
    """Path inside the package (or on disk) of the kernel image."""


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A bootable kernel whose bytes are in the cache.

    Attributes:
        release: `uname -r` of this kernel (from the package path or the image header).
        vmlinuz: path of the boot image in the cache.
        sha256: hex digest of that image: the kernel's identity everywhere.
        kconfig: path of its configuration in the cache, when the source carries one.
    """

    ref: KernelRef
    release: str
    arch: Arch
    vmlinuz: Path
    sha256: str
    provenance: Provenance
    kconfig: Path | None = None
    modules: Path | None = None
    notes: tuple[str, ...] = field(default=())
