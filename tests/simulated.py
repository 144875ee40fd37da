"""Simulated runs with known truth: what a judge must say of them is known beforehand.

A `World` draws the operations of boots; an arm is the baseline's world with known effects.
Null changes are drawn as the lab has seen them: nothing in one-process forms (but now and
then one boot of a mapping workload), 0.04 % under FIFO, states of the fair scheduler whose
shares are drawn anew for each boot under BATCH, and anything up to 38 % under OTHER.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from kernleap.model.kernel import KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.run import ArmInputs, Part, Region, RunData, RunPlan
from kernleap.model.trial import Arm, Profile, Samples, Trial, TrialRecord, TrialStatus

OPERATIONS = 40
ROLES = {
    "1p": Role.PATH,
    "2p-fifo": Role.PATH,
    "2p-batch": Role.SCHEDULED,
    "2p-other": Role.BEHAVIOUR,
}
EVENTS = ("schedules", "wakeups")


def metrics_of(region: str) -> tuple[Metric, ...]:
    """The metrics of a region, as the suite declares them (fewer events)."""
    role = ROLES[region.split("/")[1]]
    fixed = role is Role.PATH
    better = Better.NEITHER if role is Role.BEHAVIOUR else Better.LOWER
    path = Metric(
        f"{region}/kernel_instructions",
        "instructions/op",
        better,
        Grade.COUNTED,
        role,
        "mode" if fixed else "median",
    )
    return (
        path,
        *(
            Metric(
                f"{region}/{event}",
                "events/op",
                Better.NEITHER,
                Grade.COUNTED,
                Role.BEHAVIOUR,
                "median" if fixed else "mean",
            )
            for event in EVENTS
        ),
    )


@dataclass(frozen=True)
class State:
    """A state of a region: length of the path, schedules and wakeups of an operation."""

    path: int
    schedules: int = 0
    wakeups: int = 0


@dataclass
class Boot:
    """Operations of one boot, and their exact profile, region by region."""

    samples: list[Samples] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)

    def add(self, region: str, states: list[State], functions: tuple[str, ...]) -> None:
        """Add a region whose operations were in those states, one each."""
        for name, values in (
            ("kernel_instructions", [s.path for s in states]),
            ("schedules", [s.schedules for s in states]),
            ("wakeups", [s.wakeups for s in states]),
        ):
            array = np.asarray(values, dtype=np.float64)
            self.samples.append(Samples(f"{region}/{name}", "n/op", array))
        kinds = {state: states.count(state) for state in dict.fromkeys(states)}
        ranked = sorted(kinds.items(), key=lambda kind: -kind[1])
        for variant, (state, operations) in enumerate(ranked):
            counts = {functions[0]: 100 * operations}
            counts[functions[-1]] = counts.get(functions[-1], 0) + (state.path - 100) * operations
            self.profiles.append(
                Profile(
                    region,
                    variant,
                    operations,
                    counts,
                    events={
                        "schedules": float(state.schedules),
                        "wakeups": float(state.wakeups),
                    },
                )
            )


def two_states(random: Generator, low: State, high: State) -> list[State]:
    """Operations in two states, whose shares are those of this boot alone."""
    share = random.beta(0.5, 0.5)
    return [high if flip else low for flip in random.random(OPERATIONS) < share]


@dataclass
class World:
    """Workloads with random paths and states of the scheduler.

    `apart` is how far the states of the fair scheduler lie apart at most, `restless` the
    same for the OTHER form; `effects` multiply paths, by region.
    """

    random: Generator
    workloads: int = 5
    apart: float = 0.04
    restless: float = 0.38

    def __post_init__(self) -> None:
        self.bases = self.random.integers(300, 80_000, self.workloads)
        self.gaps = self.random.uniform(0, self.apart, self.workloads)
        self.wild = self.random.uniform(0, self.restless, self.workloads)
        self.same_events = self.random.random(self.workloads) < 0.5

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(f"w{n}/{form}" for n in range(self.workloads) for form in ROLES)

    def boot(self, effects: dict[str, float], shift: dict[str, float]) -> Boot:
        """One boot; `effects` are real, `shift` is what a null change does to an arm."""
        boot = Boot()
        for n, base in enumerate(self.bases):
            for form in ROLES:
                region = f"w{n}/{form}"
                factor = effects.get(region, 1.0) * (1 + shift.get(region, 0.0))
                path = round(base * factor)
                boot.add(region, self._states(form, n, path), ("entry_SYSCALL_64", "pipe_write"))
        return boot

    def _states(self, form: str, n: int, path: int) -> list[State]:
        random = self.random
        if form == "1p":
            if n == 0 and random.random() < 0.05:  # address-space layout, in one boot
                path = round(path * 1.025)
            return [State(path)] * (OPERATIONS - 2) + [State(path + 700)] * 2
        if form == "2p-fifo":
            path = round(path * (1 + random.uniform(0, 0.0002)))
            return [State(path, 2, 2)] * (OPERATIONS - 1) + [State(path + 900, 3, 2)]
        gap, more = (self.gaps[n], 1) if form == "2p-batch" else (self.wild[n], 2)
        if form == "2p-batch" and self.same_events[n]:
            more = 0
        noise = 0.002 if form == "2p-batch" else 0.05
        base = path * np.exp(random.normal(0, noise))
        low = State(round(base), 2, 2)
        return two_states(random, low, State(round(base * (1 + gap)), 2 + more, 2))


def null_shift(world: World) -> dict[str, float]:
    """What an unknown boot parameter does to a whole arm: up to 0.04 % under FIFO."""
    return {
        region: world.random.uniform(-0.0004, 0.0004)
        for region in world.regions
        if region.endswith("2p-fifo")
    }


def run_of(
    arms: dict[str, list[Boot | None]],
    *,
    regions: tuple[str, ...],
    same_seeds: bool = True,
    kconfigs: dict[str, str] | None = None,
    inputs: tuple[ArmInputs, ...] = (),
) -> RunData:
    """A run of those boots (None: panicked); the arm `baseline` comes first, `aa` by name."""
    planned, records = [], []
    for place, (name, boots) in enumerate(arms.items()):
        for block, boot in enumerate(boots):
            seed = block if same_seeds else 1000 * place + block
            trial = Trial(f"{name}-{block}", name, block, place, seed)
            planned.append(trial)
            records.append(
                TrialRecord(trial, TrialStatus.PANICKED, "Kernel panic - not syncing")
                if boot is None
                else TrialRecord(
                    trial,
                    TrialStatus.OK,
                    samples=tuple(boot.samples),
                    profiles=tuple(boot.profiles),
                )
            )
    roles = {"baseline": "baseline", "aa": "aa"}
    plan = RunPlan(
        id="simulated",
        created="2026-01-01T00:00:00Z",
        arms=tuple(
            Arm(name, KernelRef("vmlinuz", name), roles.get(name, "candidate")) for name in arms
        ),
        trials=tuple(planned),
        parts=(
            Part(
                suite="simulated",
                machine=MachineSpec(),
                regions=tuple(Region(name, *name.split("/"), 1, 0) for name in regions),
                metrics=tuple(m for region in regions for m in metrics_of(region)),
                guest_sha256="0" * 64,
                emulator_version="simulated",
                boots=max(map(len, arms.values())),
            ),
        ),
        inputs=inputs,
        seed=0,
    )
    return RunData(plan, tuple(records), kconfigs or {})


def simulate(
    seed: int,
    boots: int,
    *,
    effects: dict[str, float] | None = None,
    apart: float = 0.04,
    restless: float = 0.38,
    workloads: int = 5,
) -> RunData:
    """A baseline and a candidate; without `effects` the candidate is a null change."""
    world = World(np.random.default_rng(seed), workloads, apart, restless)
    shift = null_shift(world)
    return run_of(
        {
            "baseline": [world.boot({}, {}) for _ in range(boots)],
            "candidate": [world.boot(effects or {}, shift) for _ in range(boots)],
        },
        regions=world.regions,
    )
