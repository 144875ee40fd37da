"""What every machine offers: it runs one trial and says honestly how that went."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kernleap.model.kernel import KernelImage
from kernleap.model.run import RunPlan
from kernleap.model.trial import Trial, TrialRecord


class Interrupted(Exception):  # noqa: N818 - it reports a request, not an error
    """The trial was stopped on request; nothing of it counts."""


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """What counts depend on besides kernel, spec and seed."""

    guest_sha256: str
    emulator_version: str


class TrialRunner(Protocol):
    """Runs trials. Implementations are used from several threads at once."""

    def run(
        self,
        plan: RunPlan,
        trial: Trial,
        image: KernelImage,
        workdir: Path,
        stop: threading.Event,
    ) -> TrialRecord:
        """Run one trial in `workdir` (exists, empty, the trial's own).

        A guest that panics, hangs, vanishes or answers nonsense gives a record with that
        status. Once `stop` is set, everything started is ended.

        Raises:
            Interrupted: `stop` was set before the trial ended.
            InfrastructureError: nothing could be tried (no emulator, no room).
        """
        ...


class Machine(TrialRunner, Protocol):
    """A machine that is ready for the trials of one part of a run."""

    @property
    def identity(self) -> MachineIdentity:
        """What it is made of, by digest and version."""
        ...

    def close(self) -> None:
        """Give back what it holds between trials. Again: nothing."""
        ...
