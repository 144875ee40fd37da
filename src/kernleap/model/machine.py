"""Machines: what a trial runs on, as data."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.kernel import Arch
from kernleap.model.topology import Topology


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """An emulated machine. Two specs that are equal give equal counts for equal inputs.

    `mode` is `counted` (one vCPU, icount, plugin) or `plain` (the same without plugin;
    used by the benchmark only) or `placed` (many vCPUs in the shape of `topology`).
    """

    kind: str = "lab"
    mode: str = "counted"
    arch: Arch = Arch.AMD64
    cpu: str = "EPYC-Milan"
    """A named model of the emulator: `max` is another processor in each of its versions."""
    guest: str = "micro"
    """What the guest holds beside PID 1 and its workloads: nothing, or an engine (`serving`)."""
    memory_mib: int = 512
    vcpus: int = 1
    settle_s: float = 3.0
    """Guest seconds of sleep between boot and the first measurement."""
    time_limit_s: float = 300.0
    """Host wall-clock seconds after which a boot counts as *hung*."""
    topology: Topology | None = None
    """The shape of a `placed` machine; it carries its own CPU model and memory."""

    @property
    def profile(self) -> str:
        """Name of the shape, or an empty string."""
        return self.topology.name if self.topology else ""


_USUAL = {
    Arch.AMD64: MachineSpec(),
    # A server core that many clouds have. Its boot leaves work that takes longer to end.
    Arch.ARM64: MachineSpec(arch=Arch.ARM64, cpu="neoverse-n1", settle_s=30.0),
}


def usual_machine(arch: Arch) -> MachineSpec:
    """The machine of that architecture that a run uses unless it is told otherwise."""
    return _USUAL[arch]
