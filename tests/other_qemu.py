"""Other releases of QEMU than the installed one, from Debian's archive, without installing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kernleap.kernel import KernelCache
from kernleap.model.errors import InfrastructureError

_LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


def emulator_of(suite: str, scratch: Path) -> tuple[str, ...]:
    """The command that starts `suite`'s qemu-system-x86_64, unpacked with all its libraries.

    Uses the private apt that fetched the kernels; neither the machine nor that apt's own
    state changes.

    Raises:
        InfrastructureError: it cannot be had here.
    """
    settings = KernelCache().root / "apt" / "amd64" / "apt.conf"
    if not settings.exists():
        raise InfrastructureError("no kernel was fetched from an archive on this machine")
    for folder in ("cache/archives/partial", "tree"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    options = {
        "Dir::State::status": scratch / "status",  # nothing is installed: fetch every library
        "Dir::Cache": scratch / "cache",
        "Dir::Cache::archives": scratch / "cache" / "archives",
        "APT::Default-Release": suite,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "pkgCacheFile::Generate": "true",  # the kernels are found without a package cache
    }
    argv = ["apt-get", "install", "--download-only", "-qq", "-y"]
    argv += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    environment = {**os.environ, "APT_CONFIG": str(settings), "LC_ALL": "C"}
    done = subprocess.run(
        [*argv, "qemu-system-x86"], env=environment, capture_output=True, text=True, check=False
    )
    packages = sorted((scratch / "cache" / "archives").glob("*.deb"))
    if done.returncode or not packages:
        raise InfrastructureError(f"{suite}'s QEMU cannot be fetched", cause=done.stderr[-500:])
    tree = scratch / "tree"
    for package in packages:
        subprocess.run(["dpkg", "-x", package, tree], check=True)
        package.unlink()
    command = [str(tree / _LOADER), "--library-path", str(tree / "usr/lib/x86_64-linux-gnu")]
    command.append(str(tree / "usr/bin/qemu-system-x86_64"))
    for firmware in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
        command += ["-L", str(tree / firmware)]
    return tuple(command)
