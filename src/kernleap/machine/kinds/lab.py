"""The lab as a kind of machine: kernels boot in an emulator, what they execute is counted."""

from __future__ import annotations

from dataclasses import replace

from kernleap.machine.lab import LabMachine
from kernleap.machine.registry import register
from kernleap.model.machine import MachineSpec
from kernleap.workload.needs import MICRO, SERVING, Needs


@register
class Lab:
    """Emulated machines."""

    name = "lab"
    summary = "kernels booted in an emulator, counted exactly"
    suites = (MICRO, SERVING)

    def fit(self, spec: MachineSpec, needs: Needs) -> MachineSpec:
        """A machine with the guest and the memory that the suite needs."""
        return replace(spec, guest=needs.guest, memory_mib=needs.memory_mib)

    def open(self, spec: MachineSpec) -> LabMachine:
        """Find the emulator; build guest and plugin."""
        return LabMachine(spec)
