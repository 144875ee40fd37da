"""A tree: what an unpacked engine consists of, and what of it a program needs.

The packages' own layout is kept below `root`, so the same paths serve a guest that has nothing
else at `/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernleap.archive.closure import Package
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch
from kernleap.workload.serving.elf import read_dynamic

ROOTS = ("llama.cpp-tools", "libllama0", "libggml0")
"""The packages whose library closure makes the tree."""
SERVER = "usr/bin/llama-server"
LAYOUT = 1
"""Counts up when a tree is made differently from the same packages."""
_TRIPLET = {Arch.AMD64: "x86_64-linux-gnu", Arch.ARM64: "aarch64-linux-gnu"}
_LINKER = {Arch.AMD64: "ld-linux-x86-64.so.2", Arch.ARM64: "ld-linux-aarch64.so.1"}
_LINKER_IN_GUEST = {Arch.AMD64: "lib64", Arch.ARM64: "lib"}
_BACKENDS = "ggml/backends0"


@dataclass(frozen=True, slots=True)
class EngineTree:
    """An unpacked engine.

    Attributes:
        root: directory that stands for `/` of the packages.
        argv_prefix: what goes before a program of the tree to run it on this host.
        digest: over the packages' digests: the engine's identity.
        packages: what it is made of, by name.
    """

    root: Path
    arch: Arch
    argv_prefix: tuple[str, ...]
    digest: str
    packages: tuple[Package, ...]

    @property
    def libraries(self) -> Path:
        """The directory of its shared libraries."""
        return self.root / "usr" / "lib" / _TRIPLET[self.arch]

    @property
    def version(self) -> str:
        """`llama.cpp-tools VERSION (SUITE)`."""
        tools = next(p for p in self.packages if p.name == ROOTS[0])
        return f"{tools.name} {tools.version} ({tools.suite})"

    def program(self, path: str = SERVER) -> list[str]:
        """The start of an argument vector that runs a program of the tree."""
        return [*self.argv_prefix, str(self.root / path)]


def guest_files(
    tree: EngineTree, program: str = SERVER, backends: Sequence[str] | None = None
) -> list[tuple[str, Path, int]]:
    """What a guest needs to run a program of the tree: (path in the guest, here, mode).

    The program, its dynamic linker at the path that the program names, the libraries it needs
    by the closure of DT_NEEDED, and CPU backends, all at Debian's own paths, so that neither
    `--library-path` nor links are needed.

    Raises:
        UsageError: there is no such backend. InfrastructureError: a library is missing.

    Args:
        backends: file names such as `libggml-cpu-haswell.so`; None takes `GUEST_BACKENDS`.
    """
    libraries = f"usr/lib/{_TRIPLET[tree.arch]}"
    chosen = GUEST_BACKENDS[tree.arch] if backends is None else tuple(backends)
    files = {program: tree.root / program}
    for name in chosen:
        path = f"{libraries}/{_BACKENDS}/{name}"
        if not (tree.root / path).is_file():
            have = sorted(p.name for p in (tree.libraries / _BACKENDS).glob("*.so"))
            raise UsageError(
                f"llama.cpp has no backend {name}", cause="there are: " + ", ".join(have)
            )
        files[path] = tree.root / path
    linker = _LINKER[tree.arch]
    waiting = list(files.values())
    while waiting:
        here = waiting.pop()
        dynamic = read_dynamic(here)
        for soname in dynamic.needed if dynamic else ():
            places = [*(d.lstrip("/") for d in dynamic.search), libraries] if dynamic else []
            found = [p for d in places if (tree.root / (p := f"{d}/{soname}")).is_file()]
            if not found:
                raise InfrastructureError(
                    "the packages of llama.cpp do not make a whole program",
                    where=f"{soname}, which {here.name} needs",
                    cause="a library moved to a package that is no dependency in section libs",
                    next_step="report this, with the version: " + tree.version,
                )
            if soname != linker and found[0] not in files:
                files[found[0]] = (tree.root / found[0]).resolve()
                waiting.append(files[found[0]])
    files[f"{_LINKER_IN_GUEST[tree.arch]}/{linker}"] = (tree.libraries / linker).resolve()
    return [(path, here, 0o755) for path, here in sorted(files.items())]


GUEST_BACKENDS = {
    Arch.AMD64: ("libggml-cpu-haswell.so", "libggml-cpu-x64.so"),
    Arch.ARM64: ("libggml-cpu-armv8.0_1.so",),
}
"""The emulated EPYC-Milan has AVX2 and FMA but no AVX-512 under TCG: llama.cpp then picks
`haswell` among all its backends, and `x64` where a machine has less."""


def is_wanted(path: str) -> bool:
    """Programs, libraries, and the licences they come under."""
    if path.startswith("usr/share/doc/"):
        return path.endswith("/copyright")
    return path.startswith(("usr/bin/", "usr/lib/", "usr/lib64/", "lib/", "lib64/"))


def link_backends(root: Path, arch: Arch) -> dict[str, str]:
    """llama.cpp looks for its CPU backends beside the program, which here is the linker.

    Returns: path in the tree -> target of each link made.
    """
    libraries = root / "usr" / "lib" / _TRIPLET[arch]
    links = {}
    for backend in sorted((libraries / _BACKENDS).glob("*.so")):
        target = f"{_BACKENDS}/{backend.name}"
        (libraries / backend.name).symlink_to(target)
        links[str((libraries / backend.name).relative_to(root))] = target
    return links


def open_tree(target: Path, arch: Arch, packages: tuple[Package, ...]) -> EngineTree:
    """The tree in `target`, whose `root` has been filled."""
    root = target / "root"
    libraries = root / "usr" / "lib" / _TRIPLET[arch]
    # --inhibit-cache: the host's ld.so.cache names the host's libraries.
    prefix = (
        str(libraries / _LINKER[arch]),
        "--inhibit-cache",
        "--library-path",
        f"{libraries}:{libraries}/llama",
    )
    return EngineTree(root, arch, prefix, tree_digest(arch, packages), packages)


def tree_digest(arch: Arch, packages: Sequence[Package]) -> str:
    """The identity of a tree of these packages."""
    lines = [f"layout {LAYOUT} {arch.value}", *(f"{p.name} {p.sha256}" for p in packages)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
