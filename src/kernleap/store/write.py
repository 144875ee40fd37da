"""Files that are either there, whole and on disk, or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

from kernleap.store.errors import cannot_write

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Path, data: Any, *, replace: bool = False) -> None:
    """Write bytes-like `data` to `path` so that a crash at any instant leaves all or nothing.

    The bytes go to a temporary file beside it, to disk, and only then get their name. Two
    writers of one path must hold a lock; `replace` guards against a writer's own mistake.

    Raises:
        FileExistsError: `path` is already there and `replace` is false.
        InfrastructureError: the disk is full or cannot be written; nothing is left behind.
    """
    if not replace and path.exists():
        raise FileExistsError(str(path))
    temporary = None
    try:
        # Not tempfile: its files are for their owner alone, and runs are there to be shared.
        temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def leftovers(directory: Path) -> Iterable[Path]:
    """Temporary files of writers that were killed."""
    return directory.glob(f".*{TEMPORARY_SUFFIX}")
