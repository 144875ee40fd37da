"""What all emulated machines share: an emulator, a guest, and how a boot becomes a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernleap.guest import channel
from kernleap.guest.channel import ChannelError, Records
from kernleap.guest.initramfs import GuestImage
from kernleap.machine.base import MachineIdentity
from kernleap.machine.collect import InvalidTrial, check_guest
from kernleap.machine.guests import guest_of
from kernleap.machine.process import Ending, Outcome
from kernleap.machine.qemu import Emulator, check_cpu, find_emulator
from kernleap.model.kernel import KernelImage, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.trial import Profile, Samples, Trial, TrialRecord, TrialStatus
from kernleap.probe.counts_file import CountsError

_PANIC_MARKS = ("Kernel panic - not syncing", "---[ end Kernel panic")


@dataclass(frozen=True, slots=True)
class Collected:
    """What a boot that ended well brought."""

    samples: tuple[Samples, ...] = ()
    profiles: tuple[Profile, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)


class EmulatedMachine:
    """An emulator with a guest. Each boot ends with its trial: nothing is held between them.

    Raises:
        InfrastructureError: there is no usable emulator or guest (when constructed).
        UsageError: the emulator does not have that CPU model (when constructed).
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.emulator: Emulator = find_emulator(spec.arch)
        check_cpu(self.emulator, spec.cpu)
        self.guest: GuestImage = guest_of(spec)

    @property
    def identity(self) -> MachineIdentity:
        """Digest of the guest, and the emulator with its version."""
        return MachineIdentity(self.guest.sha256, self.emulator.identity)

    def close(self) -> None:
        """Nothing is held."""

    def facts(self, image: KernelImage, cmdline: str) -> dict[str, Any]:
        """What every boot says of its circumstances."""
        return {
            "kernel_release": image.release,
            "kernel_sha256": image.sha256,
            "guest_sha256": self.guest.sha256,
            "emulator": self.emulator.identity,
            "cpu": self.spec.cpu,
            "cmdline": cmdline,
        }

    def record(
        self,
        trial: Trial,
        ref: KernelRef,
        outcome: Outcome,
        *,
        told: Path,
        facts: dict[str, Any],
        collect: Callable[[Records, list[str]], Collected],
    ) -> TrialRecord:
        """The record of a boot that has ended.

        Args:
            trial: which it was.
            ref: its kernel; that its modifiers took is checked.
            outcome: how the emulator ended.
            told: the result channel.
            facts: of the boot; what the guest says is added.
            collect: makes samples of the guest's records, and adds to a list of warnings. It may
                raise InvalidTrial, ChannelError and CountsError.
        """
        status, reason = TrialStatus.OK, ""
        found = Collected()
        warnings: list[str] = []
        try:
            records = channel.read_records(told)
            status, reason = classify(outcome, records, self.spec.time_limit_s)
            if status is TrialStatus.OK:
                check_guest(ref, records, facts)
                found = collect(records, warnings)
        except (ChannelError, CountsError, InvalidTrial) as error:
            status, reason = TrialStatus.INVALID, str(error)
        return TrialRecord(
            trial=trial,
            status=status,
            reason=reason,
            facts=facts,
            samples=found.samples,
            profiles=found.profiles,
            artifacts={"console": outcome.console, **found.artifacts},
            warnings=tuple(warnings),
            cpu_seconds=outcome.cpu_seconds,
            wall_seconds=outcome.wall_seconds,
        )


def classify(outcome: Outcome, records: Records, limit_s: float) -> tuple[TrialStatus, str]:
    """What an ending means. Only an unmistakable end of the guest's own is *ok*."""
    panicked = next((m for m in _PANIC_MARKS if m in outcome.console), None)
    if outcome.ending is Ending.FLOODED:
        return TrialStatus.INVALID, "the guest floods its console"
    if panicked:
        return TrialStatus.PANICKED, _panic_line(outcome.console)
    if outcome.ending is Ending.TIMED_OUT:
        return TrialStatus.HUNG, f"not done after {limit_s:g} s"
    if outcome.exit_status != 0:
        return TrialStatus.LOST, f"the emulator ended with status {outcome.exit_status}"
    if not records.of("done"):
        return TrialStatus.LOST, "the machine went off before the guest was done"
    return TrialStatus.OK, ""


def _panic_line(console: str) -> str:
    lines = [line for line in console.splitlines() if "Kernel panic" in line]
    return lines[0].split("] ", 1)[-1].strip()[:200] if lines else "kernel panic"
