"""The lab: boots a kernel in an emulator, counts, and says how the boot ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kernleap.guest import channel
from kernleap.guest.build import build_plugin
from kernleap.guest.channel import Records
from kernleap.guest.initramfs import guest_image
from kernleap.guest.plan import trial_plan
from kernleap.machine.argv import BootFiles, kernel_cmdline, lab_argv
from kernleap.machine.collect import collect
from kernleap.machine.emulated import Collected, EmulatedMachine
from kernleap.machine.process import run_emulator
from kernleap.machine.selfcheck import SELFCHECK
from kernleap.machine.symbols import kernel_symbols
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.run import RunPlan
from kernleap.model.trial import Trial, TrialRecord
from kernleap.probe.events import EVENTS, REQUIRED, event_entries
from kernleap.probe.symbols import SymbolTable, parse_kallsyms


@dataclass(frozen=True, slots=True)
class _Kernel:
    """What the lab knows of a kernel before it measures it."""

    symbols: SymbolTable
    events: dict[int, tuple[int, ...]]


class LabMachine(EmulatedMachine):
    """Runs trials on emulated machines. Safe to use from several threads.

    Raises:
        InfrastructureError: there is no usable emulator or guest (when constructed).
        UsageError: the emulator does not have that CPU model (when constructed).
    """

    def __init__(self, spec: MachineSpec) -> None:
        super().__init__(spec)
        self.plugin = build_plugin(self.emulator.plugin_family) if spec.mode == "counted" else None
        self._kernels: dict[str, _Kernel] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

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
        facts = self.facts(image, cmdline)
        facts["events"] = [EVENTS[number] for number in sorted(kernel.events)]

        def collected(records: Records, warnings: list[str]) -> Collected:
            if files.counts is None:
                return Collected()
            return Collected(*collect(regions, records, files.counts, kernel.symbols, warnings))

        return self.record(trial, ref, outcome, told=files.channel, facts=facts, collect=collected)
