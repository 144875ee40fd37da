"""The one family of errors that users see, and the exit codes they end with."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every kernleap command (documented in docs/exit-codes.md)."""

    OK = 0
    """Success; for a comparison: *adopt*, or the gate passed."""
    INTERNAL = 1
    """A defect in kernleap itself."""
    USAGE = 2
    """The command line, a reference, a policy or another input file is wrong."""
    HOLD = 10
    """Verdict *hold*: nothing measured is worth a rollout, nothing forbids it."""
    REJECT = 11
    """Verdict *reject*: a metric that the policy protects got worse."""
    UNDECIDED = 12
    """Verdict *undecided*: the evidence does not settle what the policy asks."""
    INFRASTRUCTURE = 20
    """Kernels could not be fetched or booted, or too few trials ended well."""
    DIFFERS = 21
    """`reproduce`: at least one count or input differs."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM; what had ended is stored and the run can be resumed."""


class KernleapError(Exception):
    """An error with everything its reader needs to go on.

    Args:
        what: what went wrong, one line, no full stop needed.
        where: the file, key, reference or host concerned, if there is one.
        cause: the likely cause, if known.
        next_step: what to do next; a command where there is one.
    """

    exit_code: Exit = Exit.USAGE

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        cause: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.cause:
            lines.append(f"  cause: {self.cause}")
        if self.next_step:
            lines.append(f"  next:  {self.next_step}")
        return "\n".join(lines)


class UsageError(KernleapError):
    """Input from the user is wrong: reference, option, policy, file."""

    exit_code = Exit.USAGE


class InfrastructureError(KernleapError):
    """The world failed us: download, disk, QEMU, a lost machine. Never a result."""

    exit_code = Exit.INFRASTRUCTURE


class TamperedError(InfrastructureError):
    """Bytes do not match their recorded digest, or a package tries to escape."""
