"""Machines: where trials run."""

from __future__ import annotations

from kernleap.machine.base import Interrupted, Machine, MachineIdentity, TrialRunner
from kernleap.machine.lab import LabMachine
from kernleap.machine.registry import Kind, kind_of, kinds, machine_for

__all__ = [
    "Interrupted",
    "Kind",
    "LabMachine",
    "Machine",
    "MachineIdentity",
    "TrialRunner",
    "kind_of",
    "kinds",
    "machine_for",
]
