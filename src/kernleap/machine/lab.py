"""The lab: boots a kernel in an emulator, counts, and says how the boot ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernleap.guest import channel
from kernleap.guest.build import build_plugin
from kernleap.guest.channel import ChannelError, Records
from kernleap.guest.initramfs import GuestImage, guest_image
from kernleap.guest.plan import trial_plan
from kernleap.machine.argv import BootFiles, kernel_cmdline, lab_argv
from kernleap.machine.base import MachineIdentity
from kernleap.machine.collect import InvalidTrial, check_guest, collect
from kernleap.machine.guests import guest_of
from kernleap.machine.process import Ending, Outcome, run_emulator
from kernleap.machine.qemu import Emulator, check_cpu, find_emulator
from kernleap.machine.selfcheck import SELFCHECK
from kernleap.machine.symbols import kernel_symbols
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.run import RunPlan
from kernleap.model.trial import Profile, Samples, Trial, TrialRecord, TrialStatus
from kernleap.probe.counts_file import CountsError
from kernleap.probe.events import EVENTS, REQUIRED, event_entries
from kernleap.probe.symbols import SymbolTable, parse_kallsyms

_PANIC_MARKS = ("Kernel panic - not syncing", "---[ end Kernel panic")


@dataclass(frozen=True, slots=True)
class _Kernel:
    """What the lab knows of a kernel before it measures it."""

    symbols: SymbolTable
    events: dict[int, tuple[int, ...]]


class LabMachine:
    """Runs trials on emulated machines. Safe to use from several threads.

    Raises:
        InfrastructureError: there is no usable emulator or guest (when constructed).
        UsageError: the emulator does not have that CPU model (when constructed).
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.emulator: Emulator = find_emulator(spec.arch)
        check_cpu(self.emulator, spec.cpu)
        self.guest: GuestImage = guest_of(spec)
        self.plugin = build_plugin(self.emulator.plugin_family) if spec.mode == "counted" else None
        self._kernels: dict[str, _Kernel] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @property
    def identity(self) -> MachineIdentity:
        """Digest of the guest, and the emulator with its version."""
        return MachineIdentity(self.guest.sha256, self.emulator.identity)

    def close(self) -> None:
        """Each boot ends with its trial: nothing is held."""

    def kernel(self, image: KernelImage, stop: threading.Event) -> _Kernel:
        """Symbols and event entries of a kernel; the first call boots it once for them."""
        with self._guard:
            lock = self._locks.setdefault(image.sha256, threading.Lock())
        with lock:
            if image.sha256 not in self._kernels:
                # Any guest can hand them over; this one unpacks in a moment.
                smallest = guest_image(self.spec.arch)
                text = kernel_symbols(image, self.spec, self.emulator, smallest, stop)
                lines = text.splitlines()
                events = event_entries(lines, self.spec.arch)
                if missing := [e for e in REQUIRED if EVENTS.index(e) not in events]:
                    raise InfrastructureError(
                        f"{image.release} has no function for: {', '.join(missing)}",
                        where=str(image.ref),
                        cause="its symbols do not name the entries that kernleap counts",
                        next_step="use a kernel with CONFIG_KALLSYMS",
                    )
                self._kernels[image.sha256] = _Kernel(parse_kallsyms(text.encode()), events)
            return self._kernels[image.sha256]

    def run(
        self,
        plan: RunPlan,
        trial: Trial,
        image: KernelImage,
        workdir: Path,
        stop: threading.Event,
    ) -> TrialRecord:
        """Boot once and count; see TrialRunner."""
        ref = plan.arm(trial.arm).ref
        regions = plan.parts[trial.part].regions
        kernel = self.kernel(image, stop)
        files = BootFiles(
            kernel=image.vmlinuz,
            initramfs=self.guest.path,
            channel=workdir / "channel",
            plugin=self.plugin,
            counts=workdir / "counts" if self.plugin else None,
        )
        text = trial_plan(
            seed=trial.seed,
            settle_s=self.spec.settle_s,
            modifiers=ref.modifiers,
            events=kernel.events,
            regions=(SELFCHECK, *regions),
        )
        channel.create(files.channel, text)
        cmdline = kernel_cmdline(ref.modifiers, self.spec.arch)
        argv = lab_argv(self.emulator.path, self.spec, files, cmdline, trial.seed)
        outcome = run_emulator(argv, workdir, self.spec.time_limit_s, stop)
        facts: dict[str, Any] = {
            "kernel_release": image.release,
            "kernel_sha256": image.sha256,
            "guest_sha256": self.guest.sha256,
            "emulator": self.emulator.identity,
            "cpu": self.spec.cpu,
            "cmdline": cmdline,
            "events": [EVENTS[number] for number in sorted(kernel.events)],
        }
        status, reason = TrialStatus.OK, ""
        samples: tuple[Samples, ...] = ()
        profiles: tuple[Profile, ...] = ()
        warnings: list[str] = []
        try:
            records = channel.read_records(files.channel)
            status, reason = classify(outcome, records, self.spec.time_limit_s)
            if status is TrialStatus.OK:
                check_guest(ref, records, facts)
                if files.counts is not None:
                    samples, profiles = collect(
                        regions, records, files.counts, kernel.symbols, warnings
                    )
        except (ChannelError, CountsError, InvalidTrial) as error:
            status, reason = TrialStatus.INVALID, str(error)
            samples, profiles = (), ()
        return TrialRecord(
            trial=trial,
            status=status,
            reason=reason,
            facts=facts,
            samples=samples,
            profiles=profiles,
            artifacts={"console": outcome.console},
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
