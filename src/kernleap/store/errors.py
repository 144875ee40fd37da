"""What the store says when a file of a run cannot be used."""

from __future__ import annotations

from pathlib import Path

from kernleap.model.errors import InfrastructureError, UsageError


def newer_schema(path: Path, cause: str) -> UsageError:
    """The error for a file that a newer kernleap wrote."""
    return UsageError(
        "This run was written by a newer kernleap",
        where=str(path),
        cause=cause,
        next_step="update kernleap and try again",
    )


def bad_plan(path: Path, cause: str) -> InfrastructureError:
    """The error for a plan that is damaged or not one."""
    return InfrastructureError(
        "Not a readable run plan", where=str(path), cause=cause, next_step="kernleap runs list"
    )


def damaged(path: Path, cause: str) -> InfrastructureError:
    """The error for a file of a run that is damaged or does not belong there."""
    return InfrastructureError(
        "Cannot use a file of this run",
        where=str(path),
        cause=cause,
        next_step="move that file away; `kernleap compare --resume RUN` measures its trial again",
    )


def cannot_write(path: Path, error: OSError) -> InfrastructureError:
    """The error for a write that failed, naming file and reason."""
    return InfrastructureError(
        f"Cannot write {path.name}",
        where=str(path),
        cause=error.strerror or str(error),
        next_step="make room or fix the permissions, then try again; what is stored stays stored",
    )
