"""Builds the native parts from `native/`: guest, counting plugin, load driver.

The compiler is one pinned release of zig, never the machine's: a guest built anywhere has the
same bytes, and its digest is part of what a count depends on (docs/decisions/0001). What was
built is kept in the cache under a digest of sources, flags and compiler. An installed kernleap
carries prebuilt artefacts instead (see hatch_build.py), which are checked against their manifest.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import InfrastructureError, TamperedError
from kernleap.model.kernel import Arch
from kernleap.paths import cache_dir

ZIG_VERSION = "0.17.1"

Progress = Callable[[str], None]

_SOURCES = Path(__file__).resolve().parents[3] / "native"
_PACKAGED = Path(__file__).resolve().parents[1] / "_native"
_STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
_SAME_BYTES = (
    "-O2",
    "-g0",
    "-s",
    "-fno-sanitize=all",
    "-ffile-prefix-map=.=",
    "-Wl,--build-id=none",
)
_GUEST_TARGETS = {
    Arch.AMD64: ("x86_64-linux-musl", "x86_64"),
    # No large-system atomics: which form a loop takes must not depend on the processor.
    Arch.ARM64: ("aarch64-linux-musl", "baseline"),
}
_HOST_TARGETS = {
    # The C library's version is a floor: the plugin loads on any newer system.
    "x86_64": ("x86_64-linux-gnu.2.31", "x86_64"),
    "aarch64": ("aarch64-linux-gnu.2.31", "baseline"),
}
_DRIVER_TARGETS = {
    Arch.AMD64: ("x86_64-linux-musl", "x86_64"),
    Arch.ARM64: ("aarch64-linux-musl", "baseline"),
}
_STDERR_LINES = 20


@dataclass(frozen=True, slots=True)
class Artefact:
    """One thing to build. `sources` are paths relative to `directory`, sorted.

    `also` are headers outside `directory` that the sources include, relative to it.
    """

    name: str
    directory: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    also: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 over compiler, flags, and the name and bytes of every source and header."""
        sha = hashlib.sha256()
        for word in (ZIG_VERSION, self.name, *self.flags, *self.sources):
            sha.update(word.encode() + b"\0")
        own = [str(p.relative_to(self.directory)) for p in self.directory.rglob("*.[ch]")]
        for name in (*sorted(own), *self.also):
            body = (self.directory / name).read_bytes()
            sha.update(f"{name}\0{len(body)}\0".encode() + body)
        return sha.hexdigest()


def build_guest(arch: Arch = Arch.AMD64, *, progress: Progress | None = None) -> Path:
    """The static `init` for guests of `arch`, built now or earlier.

    Raises:
        InfrastructureError: no compiler, no sources, or the compiler refused them.
        TamperedError: a packaged artefact is not the one that was packaged.
    """
    return _packaged(f"init-{arch}") or _built(guest_artefact(arch), progress)


def build_plugin(family: str, *, progress: Progress | None = None) -> Path:
    """The counting plugin for this host's QEMU; `family` as in native/plugin/abi_FAMILY.c.

    Raises as `build_guest` does.
    """
    name = f"plugin-{family}-{platform.machine()}.so"
    return _packaged(name) or _built(plugin_artefact(family), progress)


def build_driver(arch: Arch, *, progress: Progress | None = None) -> Path:
    """The static load driver `kernleap-load` for guests and hosts of `arch`.

    Raises as `build_guest` does.
    """
    return _packaged(f"kernleap-load-{arch}") or _built(driver_artefact(arch), progress)


def build_null_server(arch: Arch, *, progress: Progress | None = None) -> Path:
    """The server that shows the driver's ceiling. Raises as `build_guest` does."""
    return _packaged(f"null-server-{arch}") or _built(null_server_artefact(arch), progress)


def host_arch() -> Arch:
    """The architecture of this machine.

    Raises:
        InfrastructureError: it is none that the native parts are built for.
    """
    names = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64}
    machine = platform.machine()
    if machine not in names:
        raise InfrastructureError(
            f"nothing is built for a {machine} host", cause=f"known: {', '.join(names)}"
        )
    return names[machine]


def build_all(*, progress: Progress | None = None) -> dict[str, Path]:
    """Everything that this host can build, side by side; by artefact name."""
    artefacts = [guest_artefact(arch) for arch in _GUEST_TARGETS]
    families = sorted(p.stem.removeprefix("abi_") for p in _SOURCES.glob("plugin/abi_*.c"))
    artefacts += [plugin_artefact(family) for family in families]
    artefacts += [driver_artefact(arch) for arch in _DRIVER_TARGETS]
    artefacts.append(null_server_artefact(host_arch()))
    with ThreadPoolExecutor() as pool:
        paths = pool.map(lambda artefact: _built(artefact, progress), artefacts)
    return {artefact.name: path for artefact, path in zip(artefacts, paths, strict=True)}


def guest_artefact(arch: Arch, sources: Path = _SOURCES) -> Artefact:
    """What `build_guest` builds: every C file under native/guest, linked statically."""
    if arch not in _GUEST_TARGETS:
        known = ", ".join(_GUEST_TARGETS)
        raise InfrastructureError(f"there is no guest for {arch}", cause=f"there are: {known}")
    target, cpu = _GUEST_TARGETS[arch]
    directory = sources / "guest"
    files = tuple(sorted(str(p.relative_to(directory)) for p in directory.rglob("*.c")))
    flags = ("-target", target, f"-mcpu={cpu}", "-static", "-I.", *_STRICT, *_SAME_BYTES)
    return Artefact(f"init-{arch}", directory, files, flags)


def driver_artefact(arch: Arch, sources: Path = _SOURCES) -> Artefact:
    """What `build_driver` builds: native/driver, linked statically."""
    directory = sources / "driver"
    files = tuple(sorted(p.name for p in directory.glob("*.c")))
    return _driver_part(f"kernleap-load-{arch}", arch, directory, files)


def null_server_artefact(arch: Arch, sources: Path = _SOURCES) -> Artefact:
    """What `build_null_server` builds: native/null_server, linked statically."""
    directory = sources / "null_server"
    files = tuple(sorted(p.name for p in directory.glob("*.c")))
    return _driver_part(f"null-server-{arch}", arch, directory, files)


def _driver_part(name: str, arch: Arch, directory: Path, files: tuple[str, ...]) -> Artefact:
    target, cpu = _DRIVER_TARGETS[arch]
    # No fused multiply-add: a seed's schedule has the same bits on every processor.
    options = ("-static", "-I.", "-D_GNU_SOURCE", "-ffp-contract=off")
    flags = ("-target", target, f"-mcpu={cpu}", *options, *_STRICT, *_SAME_BYTES)
    return Artefact(name, directory, files, flags, also=("../guest/marker.h",))


def plugin_artefact(family: str, sources: Path = _SOURCES) -> Artefact:
    """What `build_plugin` builds: native/plugin with the one `abi_*.c` of the family."""
    machine = platform.machine()
    if machine not in _HOST_TARGETS:
        known = ", ".join(_HOST_TARGETS)
        raise InfrastructureError(
            f"there is no plugin for a {machine} host", cause=f"known: {known}"
        )
    target, cpu = _HOST_TARGETS[machine]
    directory = sources / "plugin"
    own = f"abi_{family}.c"
    every = sorted(p.name for p in directory.glob("*.c"))
    files = tuple(name for name in every if name == own or not name.startswith("abi_"))
    if every and own not in every:
        raise InfrastructureError(f"there is no plugin of the API family {family!r}")
    flags = ("-target", target, f"-mcpu={cpu}", "-shared", "-fPIC", "-I.", *_STRICT, *_SAME_BYTES)
    return Artefact(f"plugin-{family}-{machine}.so", directory, files, flags)


def _built(artefact: Artefact, progress: Progress | None) -> Path:
    """The artefact in the cache, built if it is not there; safe for concurrent callers."""
    if not artefact.sources:
        raise InfrastructureError(
            f"cannot build {artefact.name}: it has no sources",
            where=str(artefact.directory),
            cause="this kernleap was installed without its native parts",
            next_step="run bin/kernleap from a checkout, or install a wheel",
        )
    home = cache_dir() / "native" / artefact.digest()[:24]
    finished = home / artefact.name
    if finished.exists():
        return finished
    with _locked(home):
        if not finished.exists():
            if progress:
                progress(f"building {artefact.name} (once; the first build takes half a minute)")
            with tempfile.TemporaryDirectory(dir=home, prefix="tmp-") as scratch:
                compile_artefact(artefact, Path(scratch) / artefact.name)
                (Path(scratch) / artefact.name).replace(finished)
    return finished


def compile_artefact(artefact: Artefact, output: Path) -> None:
    """Compile and link to `output` (absolute), whatever has been built before.

    Only the compiler's own C libraries are kept between builds, under the cache.
    """
    command = (*_compiler(), *artefact.flags, *artefact.sources, "-o", str(output))
    with tempfile.TemporaryDirectory(prefix="kernleap-build-") as scratch:
        # Nothing of the caller's environment reaches the compiler but what it needs to run:
        # CPATH and its like would change the bytes.
        inherited = {k: os.environ[k] for k in ("PATH", "HOME", "TMPDIR") if k in os.environ}
        libraries = os.environ.get("KERNLEAP_ZIG_CACHE") or str(cache_dir() / "native" / "zig")
        zig = {"ZIG_GLOBAL_CACHE_DIR": libraries, "ZIG_LOCAL_CACHE_DIR": scratch}
        try:
            # Relative names from the sources' own directory: no path of this machine inside.
            done = subprocess.run(
                command,
                cwd=artefact.directory,
                env={**inherited, **zig, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise InfrastructureError(f"cannot run the compiler: {error}") from error
    if done.returncode != 0 or not output.exists():
        tail = "\n".join(done.stderr.strip().splitlines()[-_STDERR_LINES:])
        raise InfrastructureError(
            f"cannot build {artefact.name}: the compiler ended with {done.returncode}",
            where=str(artefact.directory),
            cause=tail or "it said nothing",
        )
    output.chmod(0o755)


def _compiler() -> tuple[str, ...]:
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if version != ZIG_VERSION:
        raise InfrastructureError(
            f"the native parts need the compiler ziglang {ZIG_VERSION}; found: {version}",
            cause="another release would build a guest with another digest and other counts",
            next_step=f"pip install ziglang=={ZIG_VERSION}, or run bin/kernleap from a checkout",
        )
    return (sys.executable, "-m", "ziglang", "cc")


def _packaged(name: str) -> Path | None:
    """The artefact that came with an installed kernleap, digest checked; None in a checkout."""
    manifest = _PACKAGED / "manifest.json"
    if not manifest.exists():
        return None
    digests: dict[str, str] = json.loads(manifest.read_text())
    if name not in digests:
        return None
    path = _PACKAGED / name
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no such file"
    if found != digests[name]:
        raise TamperedError(
            f"the packaged {name} is not the one that was packaged",
            where=str(path),
            cause=f"sha256 should be {digests[name]}, is {found}",
            next_step="install kernleap again",
        )
    return path


def package(directory: Path) -> None:
    """Fill `directory` with every artefact and the manifest that `_packaged` checks."""
    directory.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, path in build_all().items():
        shutil.copyfile(path, directory / name)
        digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    # flock and not a lock file's existence: a killed builder leaves nothing behind.
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = (directory / ".lock").open("w")
    except OSError as error:
        raise InfrastructureError(
            "cannot write to the cache", where=str(directory), cause=str(error)
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
