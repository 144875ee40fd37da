"""A run: its plan (everything decided before the first boot) and, later, its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kernleap.model.kernel import Arch, KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Metric, qualified
from kernleap.model.trial import Arm, Trial, TrialRecord

PLAN_SCHEMA = 2
"""Schema 1 had no parts: one suite on one machine. Plans of it are still read."""


FACTS = "facts"
"""Key of RunData.extra."""


@dataclass(frozen=True, slots=True)
class ArmInputs:
    """The inputs of one arm by digest: what `reproduce` needs to fetch the same bytes."""

    arm: str
    release: str
    kernel_sha256: str
    provenance: dict[str, str]
    """The fields of kernleap.model.kernel.Provenance."""
    kconfig_sha256: str = ""
    arch: Arch = Arch.AMD64

    @property
    def key(self) -> str:
        """What names this kernel where kernels are found by name: one per arm and architecture."""
        return qualified(self.arm, self.arch)


@dataclass(frozen=True, slots=True)
class Region:
    """One workload in one form, with everything the guest needs to run it."""

    name: str
    """`workload/form`."""
    program: str
    """The workload's name in the guest binary; several workloads may share one program."""
    form: str
    iterations: int
    warmup: int
    params: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """The boots of one suite on one machine; a run has one part or several.

    `metrics` carries the definitions in force when the run was made, so that a run can be
    judged years later without the catalogue it was made with.
    """

    suite: str
    machine: MachineSpec
    regions: tuple[Region, ...]
    """What each boot runs, in execution order."""
    metrics: tuple[Metric, ...]
    guest_sha256: str
    emulator_version: str
    boots: int
    """Planned boots of each arm: the blocks of this part."""

    @property
    def label(self) -> str:
        """The suite, and the architecture unless it is amd64: what people call the part."""
        arch = self.machine.arch
        return self.suite if arch is Arch.AMD64 else f"{self.suite} on {arch}"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The plan of a run. Stored as plan.json before anything boots, never rewritten.

    Each trial belongs to a part (`Trial.part`); block numbers are unique in the whole run.
    """

    id: str
    created: str
    """UTC, ISO 8601."""
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    parts: tuple[Part, ...]
    inputs: tuple[ArmInputs, ...]
    seed: int
    """Seed of the interleaving and of the guests."""
    command: tuple[str, ...] = ()
    kernleap_version: str = ""
    schema: int = PLAN_SCHEMA

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Definitions of all parts, in their order."""
        return tuple(metric for part in self.parts for metric in part.metrics)

    @property
    def workloads(self) -> tuple[str, ...]:
        """Regions of all parts in execution order, as `workload/form`."""
        return tuple(region.name for part in self.parts for region in part.regions)

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites of the parts, each once."""
        return tuple(dict.fromkeys(part.suite for part in self.parts))

    @property
    def arches(self) -> tuple[Arch, ...]:
        """Architectures of the parts, each once, in their order."""
        return tuple(dict.fromkeys(part.machine.arch for part in self.parts))

    def kernel_key(self, trial: Trial) -> str:
        """The key of the kernel that a trial boots; see ArmInputs.key."""
        return qualified(trial.arm, self.parts[trial.part].machine.arch)

    def trials_of(self, part: int) -> tuple[Trial, ...]:
        """Trials of the part of that number."""
        return tuple(trial for trial in self.trials if trial.part == part)

    @property
    def trial_word(self) -> str:
        """What a trial is, for people: a boot in the lab, a file that was imported."""
        words = {"lab": "boot", "imported": "file"}
        told = {words.get(part.machine.kind, "trial") for part in self.parts}
        return told.pop() if len(told) == 1 else "trial"

    def arm(self, name: str) -> Arm:
        """The arm of that name; KeyError if the plan has none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    @property
    def baseline(self) -> Arm:
        """The arm everything is compared with (exactly one in every plan)."""
        return next(a for a in self.arms if a.role == "baseline")

    @property
    def refs(self) -> tuple[KernelRef, ...]:
        """References in arm order."""
        return tuple(a.ref for a in self.arms)


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """A run as read back from the store: everything judging needs, and nothing else does.

    `kconfigs` maps the key of an arm's kernel (ArmInputs.key) to the text of its configuration
    where the source had one.
    """

    plan: RunPlan
    records: tuple[TrialRecord, ...]
    kconfigs: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    """Under FACTS the run's kernleap.model.kernel_facts.RunFacts, where they were gathered."""
