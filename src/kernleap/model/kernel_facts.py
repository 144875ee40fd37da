"""Facts about kernels and hosts that judging a risk needs, as measuring found them.

Stored with a run (facts.json), so that the risk can be judged again without the packages.
`None` and empty strings mean *not known*; what is known to be absent says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FACTS_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What one package says of itself."""

    family: str
    """`deb`, `rpm` or `pacman`."""
    name: str
    version: str
    arch: str = ""
    base: str = ""
    """The source package (`Source`, `SOURCERPM`, `pkgbase`)."""
    vendor: str = ""
    """Who packaged it (`Maintainer`, `Vendor`, `packager`)."""
    distribution: str = ""
    built: str = ""
    """ISO date of the build."""
    description: str = ""
    build_tool: str = ""
    options: tuple[str, ...] = ()
    toolchain: tuple[str, ...] = ()
    """Compilers and linkers that were installed when it was built, as `name-version`."""
    signed: bool | None = None
    """Whether the package itself carries a signature (rpm); None where it is kept apart."""


@dataclass(frozen=True, slots=True)
class ImageSignature:
    """The Authenticode signature in a boot image. Its chain of trust is not checked."""

    present: bool | None
    covers: bool | None = None
    """Whether the signed digest is that of these very bytes; None if it cannot be told."""
    signers: tuple[str, ...] = ()
    """Common names in the certificates, in the order of the file."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PatchFacts:
    """Patches on top of a kernel's upstream sources."""

    source: str
    """Where they were read: a directory, a series file, a diff."""
    patches: int
    added: int
    removed: int
    files: int
    subsystems: tuple[tuple[str, int], ...] = ()
    """(top of the path, files touched), most first."""
    missing: tuple[str, ...] = ()
    """Named in the series, not there."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """One kernel, as risk sees it."""

    arm: str
    """The kernel's key in its run (ArmInputs.key); outside of a run the reference."""
    ref: str
    release: str
    arch: str
    version: str
    """The package's version where there is one (`7.2.12-1~bpo13+1`), else ""."""
    kernel_sha256: str
    source: str
    suite: str = ""
    cmdline: tuple[str, ...] = ()
    """Boot parameters the reference asks for (`mitigations=off`)."""
    packages: tuple[PackageFacts, ...] = ()
    signature: ImageSignature = field(default_factory=lambda: ImageSignature(None))
    patches: PatchFacts | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostModule:
    """A module that a host has loaded and that taints it as out of the tree."""

    name: str
    taint: str
    """Letters of Documentation/admin-guide/tainted-kernels.rst, such as `POE`."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class DkmsEntry:
    """One line of `dkms status`."""

    module: str
    version: str
    kernel: str
    """Release it was built for, "" if only added."""
    status: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host runs besides the kernel itself."""

    name: str
    release: str
    tainted: int | None = None
    modules: tuple[HostModule, ...] = ()
    dkms: tuple[DkmsEntry, ...] | None = None
    """None where dkms could not be asked."""
    livepatches: tuple[str, ...] = ()
    lockdown: str = ""
    """`none`, `integrity`, `confidentiality`; "" if not known."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts stored with a run: one entry an arm; hosts if any were named."""

    kernels: tuple[KernelFacts, ...]
    hosts: tuple[HostFacts, ...] | None = None
    schema: int = FACTS_SCHEMA
