"""The emulator at hand: where it is, which version, and which plugin family it takes."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch

_BINARY = {Arch.AMD64: "qemu-system-x86_64", Arch.ARM64: "qemu-system-aarch64"}
_PACKAGE = {Arch.AMD64: "qemu-system-x86", Arch.ARM64: "qemu-system-arm"}
# (family, first series, first series beyond). Run for real: 7.2, 10.0, 11.1.
_FAMILIES = (
    ("v1", (7, 0), (9, 0)),
    ("v3", (9, 1), (11, 0)),
    ("new", (11, 1), (99, 0)),
)
_VERSION = re.compile(r"version (\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Emulator:
    """A QEMU system emulator. `version` is upstream's (`7.2.22`)."""

    path: str
    version: str

    @property
    def series(self) -> tuple[int, int]:
        """(major, minor)."""
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)

    @property
    def identity(self) -> str:
        """What counts depend on: the emulator's name and upstream version."""
        return f"QEMU {self.version}"

    @property
    def plugin_family(self) -> str:
        """The family of the plugin interface that this QEMU accepts (native/plugin/abi_*.c).

        Raises:
            InfrastructureError: for releases whose interface no family was built for.
        """
        for family, first, beyond in _FAMILIES:
            if first <= self.series < beyond:
                return family
        raise InfrastructureError(
            f"QEMU {self.version} has a plugin interface that kernleap does not speak",
            where=self.path,
            cause="it speaks those of QEMU 7.0 to 8.2, 9.1 to 10.x, and 11.1 and later",
            next_step="install one of these, first on PATH",
        )


@lru_cache
def find_emulator(arch: Arch = Arch.AMD64) -> Emulator:
    """Find the emulator on PATH and ask for its version.

    Raises:
        InfrastructureError: there is none, or it does not say which it is.
    """
    name = _BINARY[arch]
    path = shutil.which(name)
    if path is None:
        raise InfrastructureError(
            f"{name} is not installed",
            cause="the lab boots kernels in QEMU",
            next_step=f"apt-get install {_PACKAGE[arch]}",
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    match = _VERSION.search(said.stdout)
    if said.returncode != 0 or match is None:
        raise InfrastructureError(
            f"{name} does not tell its version",
            where=path,
            cause=(said.stderr or said.stdout).strip()[:200] or f"exit status {said.returncode}",
            next_step=f"{name} --version",
        )
    major, minor, patch = match.groups()
    return Emulator(path, f"{major}.{minor}.{patch or 0}")


def check_cpu(emulator: Emulator, cpu: str) -> None:
    """Refuse a CPU model that this emulator does not have, before anything boots.

    `cpu` may carry features (`EPYC-Milan,-avx`); they are the emulator's to judge.

    Raises:
        UsageError: there is no such model.
    """
    said = subprocess.run(
        [emulator.path, "-cpu", "help"], capture_output=True, text=True, check=False
    )
    models = said.stdout.split("Recognized CPUID flags", 1)[0].split()
    name = cpu.split(",", 1)[0]
    if said.returncode == 0 and name not in models:
        close = difflib.get_close_matches(name, dict.fromkeys(models), n=3)
        raise UsageError(
            f"{emulator.identity} has no CPU model {name!r}",
            where="--cpu",
            cause=f"close to it: {', '.join(close)}" if close else None,
            next_step=f"{emulator.path} -cpu help",
        )
