"""Machines: what a trial runs on, as data."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.kernel import Arch


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """An emulated machine. Two specs that are equal give equal counts for equal inputs.

    `mode` is `counted` (one vCPU, icount, plugin) or `plain` (the same without plugin;
    used by the benchmark only).
    """

    kind: str = "lab"
    mode: str = "counted"
    arch: Arch = Arch.AMD64
    cpu: str = "EPYC-Milan"
    guest: str = "micro"
    """What the guest holds beside PID 1 and its workloads: nothing, or an engine (`serving`)."""
    memory_mib: int = 512
    vcpus: int = 1
    settle_s: float = 3.0
    """Guest seconds of sleep between boot and the first measurement."""
    time_limit_s: float = 300.0
    """Host wall-clock seconds after which a boot counts as *hung*."""
