"""Trials: one boot of one arm, planned and then recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kernleap.model.kernel import KernelRef

if TYPE_CHECKING:  # commands that show no numbers need not wait for NumPy
    import numpy as np
    from numpy.typing import NDArray


class TrialStatus(StrEnum):
    """How a trial ended. Only `ok` trials have samples that are judged."""

    OK = "ok"
    PANICKED = "panicked"
    HUNG = "hung"
    LOST = "lost"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison. `name` is unique in a run; `ref` may repeat (A/A)."""

    name: str
    ref: KernelRef
    role: str
    """`baseline`, `candidate`, `aa` (the baseline again: the noise floor of this run) or
    `reference` (a candidate with a feature off: says what comes from it, has no verdict)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One planned boot. `id` is stable: the same plan gives the same ids in the same order."""

    id: str
    arm: str
    block: int
    order: int
    seed: int
    part: int = 0
    """Number of the part of the plan it belongs to."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The samples of one metric in one trial, in iteration order (the array form of Sample).

    `values` has shape (operations,), float64; counts are exact integers below 2**53.
    """

    metric: str
    unit: str
    values: NDArray[np.float64]


EVERYTHING = -1
BY_SIDE = {"server": -2, "client": -3}
"""Numbers of profiles that are of no variant (`Profile.variant`)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Exact function profile of one variant of one region.

    A variant is a set of operations with identical counts and events. `variant` 0 is the
    commonest (the mode), 1 the next, ...; -1 stands for all operations of the region
    together, -2 and -3 for what of all operations the server did, and the client
    (`EVERYTHING`, `BY_SIDE`).
    `counts[f]` is the sum of kernel instructions of function `f` over the
    `operations` of the variant, so `sum(counts.values()) == operations * mode` exactly.
    """

    region: str
    """`workload/form`."""
    variant: int
    operations: int
    counts: dict[str, int]
    rep_counts: dict[str, int] = field(default_factory=dict)
    """REP string iterations by function; never part of `counts`."""
    events: dict[str, float] = field(default_factory=dict)
    """Events per operation: syscalls, schedules, wakeups, interrupts, faults, ..."""


@dataclass(frozen=True, slots=True, eq=False)
class TrialRecord:
    """Everything one trial produced. Written once, never rewritten.

    `facts` holds what was true of the machine (JSON-serialisable): emulator, cpu,
    kernel_sha256, kernel_release, guest_sha256, cmdline, knobs read back, crng state, ...
    `artifacts` maps a name to text (console tail). A failed trial has no samples.
    """

    trial: Trial
    status: TrialStatus
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    samples: tuple[Samples, ...] = ()
    profiles: tuple[Profile, ...] = ()
    artifacts: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    """CPU time (user + system) of the emulator process; a cost, never evidence."""
    wall_seconds: float = 0.0
    attempt: int = 1
