"""The pinned compiler: same bytes anywhere, clear refusals, safe under concurrency."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernleap.guest import build
from kernleap.model.errors import InfrastructureError, TamperedError
from kernleap.model.kernel import Arch


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_guest_is_static_and_the_same_bytes_from_any_directory(
    checkout: Path, tmp_path: Path
) -> None:
    built = build.build_guest()
    copy = tmp_path / "another place" / "native"
    shutil.copytree(checkout / "native", copy)
    for source in copy.rglob("*"):
        os.utime(source, (1_000_000_000, 1_000_000_000))
    again = tmp_path / "init"
    build.compile_artefact(build.guest_artefact(Arch.AMD64, copy), again)
    assert digest(again) == digest(built)
    # An ELF executable without a program header of type PT_INTERP (3) has no loader: static.
    body = built.read_bytes()
    assert body[:4] == b"\x7fELF"
    start = int.from_bytes(body[32:40], "little")
    size, count = int.from_bytes(body[54:56], "little"), int.from_bytes(body[56:58], "little")
    kinds = [
        int.from_bytes(body[start + i * size : start + i * size + 4], "little")
        for i in range(count)
    ]
    assert 1 in kinds
    assert 3 not in kinds


def test_environment_does_not_reach_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "init.c").write_text("#include <trap.h>\nint main(void) { return 0; }\n")
    traps = tmp_path / "traps"
    traps.mkdir()
    (traps / "trap.h").write_text("")
    for variable in ("CPATH", "C_INCLUDE_PATH"):
        monkeypatch.setenv(variable, str(traps))
    with pytest.raises(InfrastructureError, match="cannot build") as caught:
        build.compile_artefact(build.guest_artefact(Arch.AMD64, tmp_path), tmp_path / "init")
    assert "'trap.h' file not found" in str(caught.value)


def test_digest_follows_sources_headers_and_flags(tmp_path: Path) -> None:
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "init.c").write_text('#include "init.h"\n')
    (guest / "init.h").write_text("#define A 1\n")
    first = build.guest_artefact(Arch.AMD64, tmp_path)
    before = first.digest()
    assert build.guest_artefact(Arch.AMD64, tmp_path).digest() == before
    (guest / "init.h").write_text("#define A 2\n")
    assert first.digest() != before
    other_flags = build.Artefact(first.name, first.directory, first.sources, ("-O1",))
    assert other_flags.digest() != first.digest()


def test_a_warning_is_an_error_with_the_compilers_words(tmp_path: Path) -> None:
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "init.c").write_text("int main(void) { int unused; return 0; }\n")
    with pytest.raises(InfrastructureError) as caught:
        build.compile_artefact(build.guest_artefact(Arch.AMD64, tmp_path), tmp_path / "init")
    assert "unused" in str(caught.value)
    assert "init.c:1" in str(caught.value)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(InfrastructureError, match="API family 'v0'"):
        build.build_plugin("v0")


def test_concurrent_builders_agree(tmp_path: Path) -> None:
    """Two processes with one empty cache: both get the same path, whole; nothing is left over."""
    native = tmp_path / "native"
    (native / "guest").mkdir(parents=True)
    (native / "guest" / "init.c").write_text("int main(void) { return 0; }\n")
    script = (
        "from pathlib import Path; from kernleap.guest import build\n"
        f"build._SOURCES = Path({str(native)!r})\n"
        "a = build.guest_artefact(build.Arch.AMD64, build._SOURCES)\n"
        "print(build._built(a, None))\n"
    )
    # The compiler's own cache stays shared, or its C library would be built again.
    build.build_guest()
    zig = build.cache_dir() / "native" / "zig"
    cache = {"KERNLEAP_CACHE": str(tmp_path / "cache"), "KERNLEAP_ZIG_CACHE": str(zig)}
    command = [sys.executable, "-c", script]
    workers = [
        subprocess.Popen(command, env={**os.environ, **cache}, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = {worker.communicate()[0].strip() for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    (path,) = map(Path, outputs)
    assert subprocess.run([path], check=False).returncode == 0
    assert sorted(p.name for p in path.parent.iterdir()) == [".lock", "init-amd64"]


def test_packaged_artefacts_are_preferred_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_PACKAGED", tmp_path)
    (tmp_path / "init-amd64").write_bytes(b"packaged")
    digests = {"init-amd64": hashlib.sha256(b"packaged").hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps(digests))
    assert build.build_guest() == tmp_path / "init-amd64"
    (tmp_path / "init-amd64").write_bytes(b"changed")
    with pytest.raises(TamperedError, match="packaged init-amd64"):
        build.build_guest()
    (tmp_path / "init-amd64").unlink()
    with pytest.raises(TamperedError, match="packaged init-amd64"):
        build.build_guest()
