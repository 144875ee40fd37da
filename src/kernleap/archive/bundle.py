"""Bundles of data: files with a manifest of their digests, as a tar, a zip or a directory.

    manifest.json   {"schema": 1, "as_of": "2026-11-20", "source": "...", "files": {name: sha256}}

They are brought into air-gapped places by hand, and are read as hostile input: bounded in size,
count and ratio, no path leads out, and every file is the one that the manifest promises.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from kernleap.archive.limits import MAX_MEMBERS, MAX_RATIO, RATIO_FREE_BYTES, Damaged, PlainReader
from kernleap.archive.member import Kind, Member, Unsafe, inside
from kernleap.archive.tar import scan_tar
from kernleap.model.errors import TamperedError, UsageError

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 16 << 20
MAX_BUNDLE_BYTES = 2 << 30
_MAGICS = {b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zX": "xz", b"\x1f\x8b": "gz"}
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of a bundle, and what its manifest says of them.

    `as_of` is None and `source` "" for a directory without a manifest.
    """

    files: dict[str, bytes]
    as_of: date | None
    source: str
    whole: bool
    """Whether a manifest vouches for every file."""


def read_bundle(path: Path, wanted: Callable[[str], bool]) -> Bundle:
    """Read a bundle; only files that `wanted` accepts are kept, but every digest is compared.

    A directory needs no manifest (a clone of the CNA's repository has none); a file does.

    Raises:
        UsageError: there is no such file, it is no archive, or it has no manifest.
        TamperedError: damaged, hostile, or not what its manifest says.
    """
    try:
        if path.is_dir():
            return _directory(path, wanted)
        if not path.is_file():
            raise UsageError("there is no such bundle", where=str(path), next_step="check the path")
        collected = _Collector(path)
        with path.open("rb") as stream:
            _scan(stream, path, collected)
    except (Damaged, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise _refused(path, f"it is no whole tar or zip ({error})") from error
    except OSError as error:
        raise UsageError(
            f"cannot read the bundle: {error.strerror or error}",
            where=str(path),
            next_step="check its permissions",
        ) from error
    manifest = collected.files.pop(MANIFEST, None)
    if manifest is None:
        raise UsageError(
            "the bundle has no manifest",
            where=str(path),
            cause=f"a bundle holds {MANIFEST} with the digests of its files",
            next_step="make one: kernleap risk data pack DIR BUNDLE",
        )
    return _checked(path, manifest, collected.files, wanted)


def pack_bundle(directory: Path, target: Path, *, as_of: date, source: str) -> int:
    """Write the files of a directory as a bundle (tar, by xz if the name says so).

    The same files make the same bytes. Returns how many files went in.

    Raises:
        UsageError: there is nothing to pack, or it cannot be read or written.
    """
    try:
        names = sorted(
            str(p.relative_to(directory))
            for p in directory.rglob("*")
            if p.is_file() and not p.is_symlink() and p.name != MANIFEST and _useful(p)
        )
        if not names:
            raise UsageError("the directory holds nothing to pack", where=str(directory))
        digests = {n: hashlib.sha256((directory / n).read_bytes()).hexdigest() for n in names}
        manifest = {"schema": 1, "as_of": as_of.isoformat(), "source": source, "files": digests}
        text = json.dumps(manifest, indent=1).encode()
        with tarfile.open(target, "w:xz" if target.suffix == ".xz" else "w") as archive:
            _add(archive, MANIFEST, text)
            for name in names:
                _add(archive, name, (directory / name).read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot pack the bundle: {error.strerror or error}",
            where=str(error.filename or target),
        ) from error
    return len(names)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def _useful(path: Path) -> bool:
    return path.suffix in {".toml", ".json"} and not path.name.startswith(".")


class _Collector:
    """Takes every file of an archive, within limits."""

    def __init__(self, path: Path) -> None:
        self.files: dict[str, bytes] = {}
        self._path = path
        self._total = 0
        self._count = 0

    def visit(self, member: Member, read: Callable[[], bytes]) -> None:
        """Check one member and keep its bytes. Raises TamperedError."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise _refused(self._path, f"more than {MAX_MEMBERS:,} files")
        try:
            name = inside(member.name)
        except Unsafe as error:
            raise _refused(self._path, f"{error}: {member.name!r:.200}") from None
        if member.kind is Kind.DIRECTORY:
            return
        if member.kind is not Kind.FILE:
            raise _refused(self._path, f"a {member.kind.value}: {member.name!r:.200}")
        if name in self.files:
            raise _refused(self._path, f"the same file twice: {name!r:.200}")
        self._total += max(member.size, 0)
        if not 0 <= member.size <= MAX_FILE_BYTES or self._total > MAX_BUNDLE_BYTES:
            raise _refused(self._path, f"too large: {name!r:.200}")
        data = read()
        if len(data) != member.size:
            raise _refused(self._path, f"a file is not as long as it says: {name!r:.200}")
        self.files[name] = data


def _scan(stream: IO[bytes], path: Path, collected: _Collector) -> None:
    head = stream.read(4)
    stream.seek(0)
    if head == _ZIP:
        _scan_zip(stream, path, collected)
        return
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), "")
    if not (kind or _is_tar(stream)):
        raise UsageError(
            "this is no bundle",
            where=str(path),
            cause="it is neither a tar nor a zip",
            next_step="give a bundle, or a directory; to make one: kernleap risk data pack",
        )
    scan_tar(PlainReader(stream, kind, str(path)), collected)


def _is_tar(stream: IO[bytes]) -> bool:
    """Whether it begins as a tar does."""
    block = stream.read(tarfile.BLOCKSIZE)
    stream.seek(0)
    try:
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _scan_zip(stream: IO[bytes], path: Path, collected: _Collector) -> None:
    with zipfile.ZipFile(stream) as archive:
        infos = archive.infolist()
        plain = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if plain > RATIO_FREE_BYTES and plain > MAX_RATIO * max(packed, 1):
            raise _refused(path, "it unfolds to more than a hundred times its size")
        for info in infos:
            mode = info.external_attr >> 16
            kind = Kind.DIRECTORY if info.is_dir() else Kind.FILE
            if mode & 0o170000 not in {0, 0o040000, 0o100000}:
                kind = Kind.LINK
            collected.visit(Member(info.filename, kind, info.file_size), _reader(archive, info))


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(info) as member:
            return member.read(info.file_size + 1)

    return read


def _directory(path: Path, wanted: Callable[[str], bool]) -> Bundle:
    files = dict(_files_of(path, wanted))
    manifest = path / MANIFEST
    if manifest.is_file() and manifest.stat().st_size <= MAX_FILE_BYTES:
        return _checked(path, manifest.read_bytes(), files, wanted, partial=True)
    return Bundle(files, None, "", whole=False)


def _files_of(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    total = count = 0
    for place in sorted(path.rglob("*")):
        name = str(place.relative_to(path))
        if place.is_symlink() or not place.is_file() or name == MANIFEST or not wanted(name):
            continue
        size = place.stat().st_size
        total, count = total + size, count + 1
        if size > MAX_FILE_BYTES or total > MAX_BUNDLE_BYTES or count > MAX_MEMBERS:
            raise _refused(path, f"too much to read: {name!r:.200}")
        yield name, place.read_bytes()


def _checked(
    path: Path,
    manifest: bytes,
    files: dict[str, bytes],
    wanted: Callable[[str], bool],
    *,
    partial: bool = False,
) -> Bundle:
    """Compare files with the manifest. `partial`: unwanted files were not read."""
    promised, as_of, source = _manifest(path, manifest)
    for name, data in files.items():
        digest = promised.get(name)
        if digest is None:
            raise _refused(path, f"a file that the manifest does not name: {name!r:.200}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise _refused(path, f"a file is not the one of the manifest: {name!r:.200}")
    missing = [n for n in promised if n not in files and (wanted(n) or not partial)]
    if missing:
        raise _refused(path, f"a file of the manifest is missing: {missing[0]!r:.200}")
    return Bundle({n: d for n, d in files.items() if wanted(n)}, as_of, source, whole=True)


def _manifest(path: Path, data: bytes) -> tuple[dict[str, str], date, str]:
    try:
        raw: Any = json.loads(data)
        files, source = raw["files"], raw["source"]
        as_of = date.fromisoformat(raw["as_of"])
        if raw["schema"] != 1 or not isinstance(source, str) or not isinstance(files, dict):
            raise ValueError("schema, source or files are not what they should be")  # noqa: TRY301
        if not all(isinstance(digest, str) for digest in files.values()):
            raise ValueError("a digest is no string")  # noqa: TRY301
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(path, f"its manifest is wrong ({error})") from error
    return files, as_of, source


def _refused(path: Path, why: str) -> TamperedError:
    return TamperedError(
        f"the bundle is refused: {why}",
        where=str(path),
        cause="damaged on its way, put together wrongly, or hostile",
        next_step="get it again from where it was made; nothing of it was taken over",
    )
