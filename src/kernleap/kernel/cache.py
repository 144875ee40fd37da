"""The content-addressed cache of kernels.

Layout below `cache_dir()/kernels`:

    objects/sha256/ab/ab12...   bytes, named by their own digest (images, configs)
    records/KEY.json            which objects a package turned into, and its provenance
    tmp/                        unfinished files; renamed into place, never read
    locks/                      one lock file per thing being made

Every file appears by rename, so a reader sees all of it or nothing. An object's digest is
verified when a process first reads it. Objects that a live process holds are flocked shared,
so that eviction in another process passes them by.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from kernleap import paths
from kernleap.kernel.source import Artifact, Candidate
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel import Provenance

DEFAULT_MAX_BYTES = 4 * 1024**3
_STALE_TMP_S = 24 * 3600
_CHUNK = 1 << 20

_verified: dict[Path, int] = {}
"""Objects whose digest this process has checked, with the descriptor that pins each."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a source turned into: digests of the objects, and where they came from."""

    source: str
    arch: str
    release: str
    image_sha256: str
    kconfig_sha256: str
    provenance: Provenance
    candidate: Candidate | None = None
    """For archive kernels: enough to resolve again when the archive has moved on."""
    notes: tuple[str, ...] = ()


class KernelCache:
    """The cache below `root` (default: `cache_dir()/kernels`), made on first use."""

    def __init__(self, root: Path | None = None, max_bytes: int | None = None) -> None:
        self.root = root or paths.cache_dir() / "kernels"
        self.max_bytes = _cap() if max_bytes is None else max_bytes
        try:
            for name in ("objects/sha256", "records", "tmp", "locks"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.root) from error

    # -- objects -------------------------------------------------------------------------

    def object_path(self, sha256: str) -> Path:
        """Where the object of that digest is, or would be."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise TamperedError("a digest in the cache is malformed", where=repr(sha256)[:90])
        return self.root / "objects" / "sha256" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether the object is there (its bytes are not read)."""
        return self.object_path(sha256).is_file()

    def add_bytes(self, data: bytes) -> str:
        """Store `data`, pin it for this process, and return its digest."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.object_path(sha256)
        if not self._verify(target, sha256):
            self._write(target, data)
            if not self._verify(target, sha256):
                raise InfrastructureError(
                    "an object vanished from the cache as it was written", where=str(target)
                )
            self._evict()
        return sha256

    def get(self, sha256: str) -> Path:
        """Path of an object whose bytes are verified and that stays while this process lives.

        Raises:
            TamperedError: the bytes do not match; the object has been removed.
            InfrastructureError: there is no such object.
        """
        target = self.object_path(sha256)
        if not target.is_file():
            raise InfrastructureError("not in the cache", where=f"sha256:{sha256}")
        if not self._verify(target, sha256):
            raise TamperedError(
                "a cached kernel file does not match its digest; it has been removed",
                where=str(target),
                cause="the disk failed, or something changed the file",
                next_step="run the same command again with the archive within reach",
            )
        return target

    def _verify(self, target: Path, sha256: str) -> bool:
        """Pin the object, check it once per process. A bad one is removed: False."""
        if target in _verified and _same_file(_verified[target], target):
            with suppress(OSError):
                os.utime(target)
            return True
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise disk_error(error, target) from error
        with suppress(OSError):  # a file system without locks: eviction is then unprotected
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        digest = hashlib.sha256()
        while chunk := os.read(descriptor, _CHUNK):
            digest.update(chunk)
        # An evictor may have unlinked it between open and flock.
        if digest.hexdigest() != sha256 or not target.is_file():
            os.close(descriptor)
            target.unlink(missing_ok=True)
            return False
        with suppress(OSError):
            os.utime(target)
        if (old := _verified.pop(target, None)) is not None:
            os.close(old)
        _verified[target] = descriptor
        return True

    # -- records -------------------------------------------------------------------------

    def record_key(self, *parts: str) -> str:
        """Name of a record: digest of what identifies its origin."""
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]

    def put_record(self, key: str, record: Record) -> None:
        """Store a record, replacing one of the same key."""
        text = json.dumps(asdict(record), sort_keys=True, indent=1)
        self._write(self.root / "records" / f"{key}.json", text.encode())

    def find_record(self, key: str) -> Record | None:
        """The record of that key if it is whole and its image is in the cache, else None."""
        return self._usable(self.root / "records" / f"{key}.json")

    def records(self) -> Iterator[Record]:
        """Every usable record, in a stable order."""
        for path in sorted((self.root / "records").glob("*.json")):
            if record := self._usable(path):
                yield record

    def _usable(self, path: Path) -> Record | None:
        try:
            record = _record_from(json.loads(path.read_bytes()))
            whole = self.has(record.image_sha256) and (
                not record.kconfig_sha256 or self.has(record.kconfig_sha256)
            )
        except (OSError, ValueError, KeyError, TypeError, TamperedError):
            return None  # absent, or written by another version: fetch again
        return record if whole else None

    # -- files in the making -------------------------------------------------------------

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private directory below `tmp`, removed afterwards whatever happens."""
        with tempfile.TemporaryDirectory(dir=self.root / "tmp") as name:
            yield Path(name)

    def lock(self, name: str) -> FileLock:
        """The lock of that name between processes."""
        return FileLock(self.root / "locks" / f"{name}.lock")

    def _write(self, target: Path, data: bytes) -> None:
        try:
            write_atomically(target, data, self.root / "tmp")
        except OSError as error:
            raise disk_error(error, target) from error

    # -- size cap ------------------------------------------------------------------------

    def _evict(self) -> None:
        """Remove what was used longest ago until the cap holds; spare what is in use."""
        with self.lock("evict"):
            self._sweep_tmp()
            objects = []
            for path in (self.root / "objects" / "sha256").glob("*/*"):
                with suppress(FileNotFoundError):
                    if path.is_file():
                        stat = path.stat()
                        objects.append((stat.st_mtime, stat.st_size, path))
            total = sum(size for _, size, _ in objects)
            for _, size, path in sorted(objects):
                if total <= self.max_bytes:
                    break
                if _remove_unless_in_use(path):
                    total -= size
            for path in (self.root / "records").glob("*.json"):
                if self._usable(path) is None:
                    path.unlink(missing_ok=True)

    def _sweep_tmp(self) -> None:
        horizon = time.time() - _STALE_TMP_S
        for path in (self.root / "tmp").iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < horizon:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_atomically(target: Path, data: bytes, tmp: Path) -> None:
    """Make `target` hold `data`: temporary file in `tmp`, fsync, rename. OSError on failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=tmp)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def disk_error(error: OSError, where: Path) -> InfrastructureError:
    """The error to raise when the disk refuses."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return InfrastructureError(
        f"cannot use the kernel cache: {error.strerror or error}",
        where=str(where),
        cause="the disk is full" if full else None,
        next_step=(
            "free some space, or set KERNLEAP_CACHE to a directory on another disk"
            if full
            else "check its permissions, or set KERNLEAP_CACHE to another directory"
        ),
    )


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _remove_unless_in_use(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _cap() -> int:
    text = os.environ.get("KERNLEAP_CACHE_MAX_BYTES")
    if not text:
        return DEFAULT_MAX_BYTES
    if not text.isascii() or not text.isdigit():
        raise UsageError(
            "KERNLEAP_CACHE_MAX_BYTES is not a number of bytes",
            where=text,
            next_step="set it to digits only, for example 2147483648",
        )
    return int(text)


def _record_from(raw: dict[str, Any]) -> Record:
    candidate = raw["candidate"]
    return Record(
        source=raw["source"],
        arch=raw["arch"],
        release=raw["release"],
        image_sha256=raw["image_sha256"],
        kconfig_sha256=raw["kconfig_sha256"],
        provenance=Provenance(**raw["provenance"]),
        candidate=candidate_from(candidate) if candidate else None,
        notes=tuple(raw["notes"]),
    )


def candidate_from(raw: dict[str, Any]) -> Candidate:
    """A candidate back from `dataclasses.asdict`. KeyError or TypeError if it is not one."""
    config = raw["config"]
    return Candidate(
        raw["release"], Artifact(**raw["image"]), Artifact(**config) if config else None
    )
