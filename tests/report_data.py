"""Synthetic runs for tests of reports: shaped as real ones, every figure from a seed.

Nothing here is a measurement. The names are those of the micro suite and of real kernel
functions; values come from a seeded generator, so that a page can be looked at and pinned.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import numpy as np

from kernleap.judge.judgement import Judgement, NoiseFloor
from kernleap.model.kernel import KernelRef
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.result import (
    ArmValues,
    Comparison,
    Confounder,
    Decision,
    Finding,
    FunctionDelta,
    Reason,
    Verdict,
    VerdictDecision,
)
from kernleap.model.run import ArmInputs, Part, Region, RunData, RunPlan
from kernleap.model.trial import Arm, Samples, Trial, TrialRecord, TrialStatus

SINGLE = {
    "syscall-getppid": 292,
    "syscall-read-null": 611,
    "pipe": 3734,
    "eventfd": 1702,
    "unix-stream": 8114,
    "unix-dgram": 7420,
    "unix-seqpacket": 8290,
    "tcp-1b": 22990,
    "tcp-16k": 25512,
    "udp": 15210,
    "connect": 73605,
    "sendmsg-iov": 19804,
    "epoll-64": 2604,
    "epoll-1024": 2604,
    "futex": 1480,
    "shm-futex": 1512,
    "mmap-4k": 4120,
    "mmap-2108k": 188404,
    "fork-exit": 131070,
    "thread-create": 41230,
    "io-uring": 2210,
}
DOUBLE = ("pipe", "unix-stream", "tcp-1b", "udp", "epoll-64", "futex", "shm-futex")
GROUPS = {
    "set_next_task_fair": "scheduler",
    "avg_vruntime": "scheduler",
    "hrtick_start_fair": "scheduler",
    "pick_next_task_fair": "scheduler",
    "__hrtimer_start_range_ns": "timers",
    "prandom_u32_state": "entry",
    "syscall_exit_to_user_mode": "entry",
    "unix_stream_read_generic": "sockets",
    "unix_stream_sendmsg": "sockets",
    "sock_alloc_send_pskb": "sockets",
    "tcp_sendmsg_locked": "network",
    "__alloc_skb": "network",
    "kmem_cache_alloc_node": "memory",
    "__slab_free": "memory",
    "pipe_write": "vfs",
    "vfs_write": "vfs",
}
EVENTS = ("syscalls", "schedules", "wakeups", "faults")


@dataclass
class Made:
    """A run in the making: metric by metric, candidate by candidate."""

    arms: tuple[Arm, ...]
    boots: int
    rng: random.Random
    metrics: list[Metric] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    values: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)

    def add(self, metric: Metric, base: float, change: float, spread: float = 0.0) -> None:
        """One metric in every arm: candidates changed by `change`, more for later arms."""
        self.metrics.append(metric)
        of_arm = {}
        for place, arm in enumerate(self.arms):
            centre = base * (1 + change * (0.4 + 0.6 * place) * (arm.role == "candidate"))
            of_arm[arm.name] = tuple(
                float(round(centre * (1 + spread * self.rng.uniform(-1, 1))))
                for _ in range(self.boots)
            )
        self.values[metric.name] = of_arm
        baseline = arm_values(of_arm[self.arms[0].name])
        for arm in self.arms[1:]:
            if arm.role == "candidate":
                candidate = arm_values(of_arm[arm.name])
                finding = make_finding(metric, arm.name, baseline, candidate, spread, self.rng)
                self.findings.setdefault(arm.name, []).append(finding)


def arm_values(values: tuple[float, ...]) -> ArmValues:
    """Values of boots with their lower median and spread."""
    ordered = sorted(values)
    median = ordered[(len(ordered) - 1) // 2]
    spread = (ordered[-1] - ordered[0]) / median if median else 0.0
    return ArmValues(len(values), values, median, spread, (median,))


def make_finding(
    metric: Metric,
    arm: str,
    baseline: ArmValues,
    candidate: ArmValues,
    spread: float,
    rng: random.Random,
    margin: float = 0.001,
) -> Finding:
    """A finding decided by its interval, with functions that sum to the change."""
    ratio = candidate.median / baseline.median if baseline.median else float("nan")
    low, high = ratio / (1 + spread), ratio * (1 + spread)
    decision, more = Decision.UNDECIDED, 9
    if metric.better is Better.NEITHER:
        changed = candidate.median != baseline.median
        decision = Decision.BEHAVIOUR_CHANGED if changed else Decision.EQUIVALENT
    elif low > 1 + margin:
        decision = Decision.WORSE
    elif high < 1 - margin:
        decision = Decision.BETTER
    elif low >= 1 - margin and high <= 1 + margin:
        decision = Decision.EQUIVALENT
    functions: tuple[FunctionDelta, ...] = ()
    total = candidate.median - baseline.median
    if decision in (Decision.BETTER, Decision.WORSE) and metric.quantity == "kernel_instructions":
        functions = split(total, rng)
    return Finding(
        comparison=Comparison(
            metric, arm, baseline, candidate, ratio, (low, high), 0.95, 0.01, margin
        ),
        decision=decision,
        reason="the interval crosses the margin" if decision is Decision.UNDECIDED else "",
        more_boots=more if decision is Decision.UNDECIDED else None,
        functions=functions,
        explained_total=total if functions else 0.0,
        events=(("schedules", 2.0, 2.0), ("wakeups", 1.0, 1.0)) if functions else (),
    )


def split(total: float, rng: random.Random) -> tuple[FunctionDelta, ...]:
    """Function deltas, some against the direction, that leave a small rest."""
    names = rng.sample(sorted(GROUPS), 9)
    deltas = [round(total * share) for share in (0.5, 0.25, 0.15, 0.12, -0.08, 0.04, 0.02, -0.01)]
    deltas.append(round(total) - sum(deltas) - (1 if abs(total) > 50 else 0))
    rows = [
        FunctionDelta(name, GROUPS[name], 400.0, 400.0 + delta, float(delta))
        for name, delta in zip(names, deltas, strict=True)
        if delta
    ]
    return tuple(sorted(rows, key=lambda r: -abs(r.delta)))


def path(name: str, role: Role = Role.PATH) -> Metric:
    """A metric of kernel instructions per operation."""
    return Metric(name, "instructions/op", Better.LOWER, Grade.COUNTED, role, "mode")


def event(name: str) -> Metric:
    """A metric of events per operation."""
    return Metric(name, "events/op", Better.NEITHER, Grade.COUNTED, Role.BEHAVIOUR, "mean")


def make_arms(candidates: tuple[str, ...] = ("7.2",), aa: bool = True) -> tuple[Arm, ...]:
    """The baseline debian:7.0, candidates by version, and an A/A arm."""
    base = KernelRef("debian", "7.0")
    rest = tuple(Arm(f"debian:{v}", KernelRef("debian", v), "candidate") for v in candidates)
    again = (Arm("debian:7.0 (A/A)", base, "aa"),) if aa else ()
    return (Arm("debian:7.0", base, "baseline"), *rest, *again)


def make(
    *,
    candidates: tuple[str, ...] = ("7.2",),
    boots: int = 5,
    seed: int = 7,
    aa: bool = True,
    failures: bool = True,
) -> tuple[Judgement, RunData]:
    """A run of the micro suite, with something of everything a report can show."""
    rng = random.Random(seed)
    made = Made(make_arms(candidates, aa), boots, rng)
    for workload, base in SINGLE.items():
        change = rng.choice([0.0, 0.0, 0.0002, 0.03, 0.07, -0.011, 0.134])
        made.add(path(f"{workload}/1p/kernel_instructions"), base, change)
        made.add(replace(path(f"{workload}/1p/user_instructions")), 120, 0.0)
    for workload in DOUBLE:
        base = SINGLE[workload] * 2
        made.add(path(f"{workload}/2p-fifo/kernel_instructions"), base, 0.04, 0.0004)
        scheduled = path(f"{workload}/2p-batch/kernel_instructions", Role.SCHEDULED)
        change = rng.choice([0.1, 0.047, 0.002])
        made.add(scheduled, base * 1.1, change, 0.012)
        other = event(f"{workload}/2p-other/kernel_instructions")
        made.add(replace(other, unit="instructions/op"), base * 1.3, rng.choice([0, 0.2]), 0.1)
        for name in EVENTS:
            made.add(event(f"{workload}/2p-batch/{name}"), 4, rng.choice([0, 0, 0.5]))
    return finish(made, failures)


def finish(made: Made, failures: bool = True) -> tuple[Judgement, RunData]:
    """Plan, records and judgement for what was made."""
    trials = tuple(
        Trial(f"b{block:02d}-{arm.name.replace(':', '-')}", arm.name, block, order, 1000 + block)
        for block in range(made.boots)
        for order, arm in enumerate(made.arms)
    )
    plan = RunPlan(
        id="20261123-0525-debian-7.0-7.2-k3f9",
        created="2026-11-23T05:25:00Z",
        arms=made.arms,
        trials=trials,
        parts=(
            Part(
                suite="micro",
                machine=MachineSpec(),
                regions=tuple(
                    Region(name, *name.split("/"), 4, 0)
                    for name in dict.fromkeys(m.name.rsplit("/", 1)[0] for m in made.metrics)
                ),
                metrics=tuple(made.metrics),
                guest_sha256="5f" * 32,
                emulator_version="QEMU 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)",
                boots=made.boots,
            ),
        ),
        inputs=tuple(make_inputs(arm) for arm in made.arms),
        seed=1,
        command=("kernleap", "compare", "debian:7.0", "debian:7.2", "--aa"),
        kernleap_version="0.1.0",
    )
    records = [make_record(made, trial) for trial in trials]
    failed: tuple[tuple[str, str, str], ...] = ()
    if failures:
        records[-1] = replace(
            records[-1],
            status=TrialStatus.PANICKED,
            reason="the guest kernel panicked before the first region",
            samples=(),
            artifacts={"console": CONSOLE},
            attempt=2,
        )
        failed = ((records[-1].trial.id, "panicked", records[-1].reason),)
    return make_judgement(made, plan, failed), RunData(plan, tuple(records))


CONSOLE = """\
[    0.412000] clocksource: tsc: mask: 0xffffffffffffffff
[    0.530000] Kernel panic - not syncing: timer doesn't work through Interrupt-remapped IO-APIC
[    0.530000] CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 7.2.3+deb14-cloud-amd64 #1
[    0.530000] ---[ end Kernel panic - not syncing: timer doesn't work ]---
"""


def make_inputs(arm: Arm) -> ArmInputs:
    """Inputs of an arm, as resolved."""
    version = arm.ref.name
    return ArmInputs(
        arm.name,
        f"{version}.9+deb14-cloud-amd64",
        f"{abs(hash_of(version)):064x}",
        {
            "source": "debian",
            "package": f"linux-binary-{version}.9+deb14-cloud-amd64",
            "version": f"{version}.9-1",
            "suite": "sid",
            "package_sha256": "",
            "path": "boot/vmlinuz",
        },
    )


def hash_of(text: str) -> int:
    """A number that stands for a digest, the same in every process."""
    return random.Random(text).getrandbits(255)


def make_record(made: Made, trial: Trial) -> TrialRecord:
    """A good trial whose samples repeat the boot's value."""
    samples = tuple(
        Samples(m.name, m.unit, np.full(4, made.values[m.name][trial.arm][trial.block]))
        for m in made.metrics
    )
    return TrialRecord(trial, TrialStatus.OK, samples=samples, cpu_seconds=11.8, wall_seconds=12.1)


def make_judgement(
    made: Made, plan: RunPlan, failed: tuple[tuple[str, str, str], ...]
) -> Judgement:
    """Findings as made, a verdict that rests on them, and what else differs."""
    verdicts, confounders = {}, {}
    for arm in made.arms:
        if arm.role != "candidate":
            continue
        worse = [
            f.comparison.metric.name
            for f in made.findings[arm.name]
            if f.decision is Decision.WORSE
        ]
        text = f"{len(worse)} protected kernel paths got longer than the margin of 0.1 % allows"
        verdicts[arm.name] = Verdict(
            arm.name,
            VerdictDecision.REJECT if worse else VerdictDecision.HOLD,
            (
                Reason("guard: no path may get longer", text, tuple(worse)),
                Reason("minimum gain", "no path got shorter by 1 % or more"),
            ),
            "default",
            ("counted",),
        )
        confounders[arm.name] = (
            Confounder("config", "CONFIG_HZ", "250", "1000", "more timer interrupts per second"),
            Confounder("compiler", "gcc", "gcc 14.2.0", "gcc 15.2.0", "code is generated anew"),
            Confounder("config", "CONFIG_SCHED_CACHE", "", "y", "cache-aware scheduling"),
        )
    has_aa = any(a.role == "aa" for a in made.arms)
    return Judgement(
        plan=plan,
        findings={name: tuple(rows) for name, rows in made.findings.items()},
        verdicts=verdicts,
        confounders=confounders,
        noise=NoiseFloor("debian:7.0 (A/A)", {"path": 0.0, "scheduled": 0.0061}, 63)
        if has_aa
        else None,
        failures=failed,
        warnings=("arm debian:7.0 (A/A) has 4 boots, the others 5",) if failed else (),
    )
