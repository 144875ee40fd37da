"""`host`: the kernel that this machine runs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from kernleap.kernel.cache import KernelCache
from kernleap.kernel.source import Artifact, Candidate, Progress, Resolved, register
from kernleap.kernel.sources.vmlinuz import fetch_files
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance

_IMAGES = (
    "usr/lib/modules/{0}/vmlinuz",
    "lib/modules/{0}/vmlinuz",
    "boot/vmlinuz-{0}",
    "boot/Image-{0}",
)
_CONFIGS = (
    "boot/config-{0}",
    "usr/lib/modules/{0}/config",
    "lib/modules/{0}/config",
    "proc/config.gz",
)
_MACHINES = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64}


@register
class HostSource:
    """The running kernel's image and configuration, where its packages put them.

    Args:
        root: the file system to look in.
        release: what `uname -r` says; by default of this machine.
        machine: what `uname -m` says.
    """

    name = "host"
    takes_name = False
    name_hint = ""

    def __init__(
        self, root: Path = Path("/"), release: str | None = None, machine: str | None = None
    ) -> None:
        self._root = root
        self._release = release or platform.release()
        self._machine = machine or platform.machine()

    def check_name(self, name: str) -> str | None:
        """There is no name to check."""
        return None

    def resolve(
        self,
        ref: KernelRef,
        arch: Arch,
        cache: KernelCache,
        *,
        offline: bool,
        progress: Progress | None,
    ) -> Resolved:
        """Find the image of the running release.

        Raises:
            UsageError: another architecture is asked for.
            InfrastructureError: the image is not here, or may not be read.
        """
        if _MACHINES.get(self._machine) is not arch:
            raise UsageError(
                f"the host runs {self._machine}, not {arch.value}",
                where=str(ref),
                next_step="leave --arch out, or name another kernel",
            )
        places = [self._root / place.format(self._release) for place in _IMAGES]
        present = [place for place in places if place.exists()]
        if not present:
            raise InfrastructureError(
                f"the image of the running kernel {self._release} is not on this machine",
                where=", ".join(str(place) for place in places),
                cause="in a container or a cloud guest the kernel belongs to the host outside",
                next_step="run kernleap on that host, or copy the image and give vmlinuz:PATH",
            )
        readable = [place for place in present if os.access(place, os.R_OK)]
        if not readable:
            raise InfrastructureError(
                "the image of the running kernel may not be read",
                where=str(present[0]),
                cause="some distributions keep it for root only",
                next_step=f"copy it: sudo install -m 644 {present[0]} . and give vmlinuz:PATH",
            )
        configs = [self._root / place.format(self._release) for place in _CONFIGS]
        config = next((c for c in configs if c.is_file() and os.access(c, os.R_OK)), None)
        candidate = Candidate(
            self._release,
            Artifact(str(readable[0])),
            Artifact(str(config)) if config else None,
        )
        return Resolved(ref, arch, (candidate,), offline=offline)

    def fetch(
        self, resolved: Resolved, cache: KernelCache, progress: Progress | None
    ) -> KernelImage:
        """Read, check that it is the running release, copy into the cache."""
        return fetch_files(resolved, cache, release=resolved.best.release)

    def ref_for(self, provenance: Provenance, release: str) -> KernelRef:
        """The file that was the host's; the host may run another kernel by now."""
        return KernelRef("vmlinuz", provenance.path)
