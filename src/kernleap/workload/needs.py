"""What suites ask of a run: how many boots, and which guest on how large a machine."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from kernleap.workload.allreduce.region import BOOTS as ALLREDUCE_BOOTS
from kernleap.workload.allreduce.region import PROGRAM as _ALLREDUCE
from kernleap.workload.placement.region import PLACEMENT
from kernleap.workload.serving.region import BOOTS, BOOTS_BESIDE_OTHERS, MEMORY_MIB, PROGRAM

ALLREDUCE = _ALLREDUCE
"""The suite of all-reduce between processes."""
MICRO = "micro"
"""The suite of all workloads of the catalogue."""
SERVING = PROGRAM


@dataclass(frozen=True, slots=True)
class Needs:
    """What one suite asks of a run.

    Attributes:
        boots: of each arm, where the suite was asked for by name.
        boots_by_default: of each arm, where nobody said what to measure.
        guest: what the guest of an emulated machine holds (kernleap.machine.guests).
        memory_mib: of that machine.
        mode: of that machine (kernleap.model.machine).
    """

    boots: int = 5
    boots_by_default: int = 5
    guest: str = "micro"
    memory_mib: int = 512
    mode: str = "counted"


_NEEDS = MappingProxyType(
    {
        SERVING: Needs(BOOTS, BOOTS_BESIDE_OTHERS, guest="serving", memory_mib=MEMORY_MIB),
        PLACEMENT: Needs(mode="placed"),
        ALLREDUCE: Needs(ALLREDUCE_BOOTS, ALLREDUCE_BOOTS),
    }
)


def needs_of(suite: str) -> Needs:
    """What the suite of that name needs."""
    return _NEEDS.get(suite, Needs())
