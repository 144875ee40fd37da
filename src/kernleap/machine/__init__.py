"""Machines: where trials run."""

from __future__ import annotations

from kernleap.machine.base import Interrupted, TrialRunner
from kernleap.machine.guests import guest_of
from kernleap.machine.lab import LabMachine
from kernleap.machine.qemu import find_emulator
from kernleap.model.machine import MachineSpec

__all__ = ["Interrupted", "LabMachine", "TrialRunner", "prepare"]


def prepare(spec: MachineSpec) -> tuple[str, str]:
    """(guest digest, emulator identity) of the machine that this spec describes here.

    Raises:
        InfrastructureError: there is no emulator, or the guest cannot be built.
    """
    emulator = find_emulator(spec.arch)
    return guest_of(spec).sha256, emulator.identity
