"""Alone on this machine: two that measure at once measure each other."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kernleap import paths
from kernleap.model.errors import InfrastructureError

_NAME = "measuring.lock"


@contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """Hold the lock of this machine. The kernel releases it however its holder ends.

    Raises:
        InfrastructureError: another kernleap holds it, or it cannot be made.
    """
    path = paths.state_dir() / _NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(
            "the lock of this machine cannot be made",
            where=str(path),
            cause=error.strerror,
            next_step="set KERNLEAP_STATE to a directory that can be written",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InfrastructureError(
                "another kernleap measures on this machine",
                where=str(path),
                cause="two at once would measure each other",
                next_step="wait until it has ended, then run the same command again",
            ) from error
        yield
    finally:
        os.close(descriptor)
