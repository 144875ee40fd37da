"""Files from an archive, checked here once more against what the signed index promised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from kernleap.archive.apt import PrivateApt
from kernleap.model.errors import TamperedError

_CHUNK = 1 << 20


def fetch_verified(
    apt: PrivateApt,
    uri: str,
    target: Path,
    *,
    package: str,
    sha256: str,
    size: int,
    report: Callable[[int], None] | None = None,
) -> Path:
    """Download one package to `target`; `report` is called with the bytes that are there.

    Raises:
        NotServedError: the mirror does not have it.
        InfrastructureError: the download failed.
        TamperedError: size or digest differ from the index.
    """
    apt.download(uri, sha256, target, report)
    actual_size = target.stat().st_size
    if actual_size != size or sha256_of(target) != sha256:
        raise TamperedError(
            f"the download of {package} does not match the signed index",
            where=uri,
            cause=f"{actual_size:,} bytes came, {size:,} were promised"
            if actual_size != size
            else "its sha256 differs",
            next_step="run the command again; if it persists, the mirror cannot be trusted",
        )
    if report:
        report(size)
    return target


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
