"""arm64 in the lab: counts repeat exactly, and none is taken before the random generator is ready.

Four boots serve all tests, beside one for each kernel's symbols where they are not cached.
Run as a program, this writes the golden counts anew.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernleap.guest import channel
from kernleap.guest.channel import Records
from kernleap.guest.plan import trial_plan
from kernleap.machine.argv import BootFiles, kernel_cmdline, lab_argv
from kernleap.machine.collect import InvalidTrial, check_guest
from kernleap.machine.process import run_emulator
from kernleap.machine.selfcheck import SELFCHECK
from kernleap.model.kernel import Arch
from kernleap.model.run import Region
from kernleap.model.trial import TrialRecord, TrialStatus
from kernleap.probe.counts_file import read_counts
from kernleap.report.json import samples_sha256
from kernleap.workload import planned_for, select
from lab_runs import image_of, lab_of, plan_of, run_trial

pytestmark = [pytest.mark.boot_arm64, pytest.mark.network]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "counts-arm64.json"
KERNELS = ("debian:7.0.13+deb13-cloud-arm64", "debian:7.2.12+deb13-cloud-arm64")
REGIONS = ("syscall-getppid/1p", "pipe/*", "unix-stream/*", "tcp-1b/1p", "mmap-248k/1p", "futex/*")
SEED = 20260101
TRAPPED = "unix-stream/2p-fifo"


def boot_once(kernel: str) -> TrialRecord:
    plan = plan_of(KERNELS, suite="micro", globs=REGIONS, seed=SEED, arch=Arch.ARM64)
    record = run_trial(plan, next(t for t in plan.trials if t.arm == kernel))
    assert record.status is TrialStatus.OK, record.reason
    return record


@pytest.fixture(scope="module")
def first() -> dict[str, TrialRecord]:
    return {kernel: boot_once(kernel) for kernel in KERNELS}


def golden_of(records: dict[str, TrialRecord]) -> dict[str, Any]:
    """What this machine counts, in the golden file's shape."""
    lab = lab_of(Arch.ARM64)
    return {
        "emulator": lab.emulator.identity,
        "cpu": lab.spec.cpu,
        "guest_sha256": lab.guest.sha256,
        "kernels": {
            kernel: {
                "sha256": image_of(kernel, Arch.ARM64).sha256,
                "seed": record.trial.seed,
                "metrics": {
                    s.metric: [float(s.values.sum()), samples_sha256(s.values)[:16]]
                    for s in record.samples
                    if s.metric.endswith("instructions")
                },
            }
            for kernel, record in records.items()
        },
    }


def test_a_second_boot_with_the_same_seed_counts_the_same_to_the_bit(first) -> None:
    kernel = KERNELS[1]
    again = boot_once(kernel)
    assert len(again.samples) > 80
    for one, other in zip(first[kernel].samples, again.samples, strict=True):
        assert one.metric == other.metric
        assert one.metric.startswith("arm64:")
        assert np.array_equal(one.values, other.values), one.metric
    assert first[kernel].profiles == again.profiles
    assert again.warnings == ()


def test_this_machine_counts_what_the_first_one_counted(first) -> None:
    golden = json.loads(GOLDEN.read_text())
    here = lab_of(Arch.ARM64)
    if here.emulator.identity != golden["emulator"]:
        pytest.skip(f"golden counts are of {golden['emulator']}; here is {here.emulator.identity}")
    for name, kernel in golden["kernels"].items():
        if image_of(name, Arch.ARM64).sha256 != kernel["sha256"]:
            pytest.skip(f"the archive has another build of {name} than the golden one")
    assert here.guest.sha256 == golden["guest_sha256"], (
        f"the guest has changed. If that was meant, run: python {Path(__file__).name}"
    )
    assert golden_of(first) == golden


def test_every_event_of_an_operation_is_seen(first) -> None:
    samples = {s.metric: s.values for s in first[KERNELS[1]].samples}

    def usual(metric: str) -> float:
        return float(np.median(samples[f"arm64:{metric}"]))

    assert usual("syscall-getppid/1p/syscalls") == 1
    assert usual("syscall-getppid/1p/switches") == 0
    # There and back: two writes and two reads, and each side sleeps and wakes once.
    assert usual("pipe/2p-fifo/syscalls") == 4
    assert usual("pipe/2p-fifo/switches") == usual("pipe/2p-fifo/wakeups") == 2
    assert usual("mmap-248k/1p/faults") == 62
    assert usual("tcp-1b/1p/softirqs") == 2
    # Ticks hit some operations, and what they do is in none, unless another task is scheduled.
    hit = samples["arm64:mmap-248k/1p/interrupts"] > 0
    paths = samples["arm64:mmap-248k/1p/kernel_instructions"]
    assert 0 < np.count_nonzero(hit) < len(hit)
    assert np.array_equal(hit, samples["arm64:mmap-248k/1p/interrupt_instructions"] > 0)
    alone = hit & (samples["arm64:mmap-248k/1p/schedules"] == 0)
    assert alone.any()
    assert paths[alone] == pytest.approx(np.median(paths[~hit]), rel=0.0005)


@dataclass(frozen=True)
class Unseeded:
    """A boot whose plan credits no entropy."""

    records: Records
    paths: dict[str, float]
    """Median kernel instructions by region."""


@pytest.fixture(scope="module")
def unseeded(tmp_path_factory: pytest.TempPathFactory) -> Unseeded:
    lab, image = lab_of(Arch.ARM64), image_of(KERNELS[0], Arch.ARM64)
    regions = planned_for(select("micro", ["syscall-getppid", TRAPPED]), Arch.ARM64)
    scratch = tmp_path_factory.mktemp("unseeded")
    files = BootFiles(
        image.vmlinuz, lab.guest.path, scratch / "channel", lab.plugin, scratch / "counts"
    )
    text = trial_plan(
        seed=1,
        settle_s=lab.spec.settle_s,
        modifiers=(),
        events=lab.kernel(image, threading.Event()).events,
        regions=(SELFCHECK, *regions),
    )
    head, _, rest = text.partition("\n")
    assert head == "seed 1"
    channel.create(files.channel, rest)
    argv = lab_argv(lab.emulator.path, lab.spec, files, kernel_cmdline((), Arch.ARM64), 1)
    run_emulator(argv, scratch, lab.spec.time_limit_s, threading.Event())
    counts = read_counts(scratch / "counts")
    measured: tuple[Region, ...] = (SELFCHECK, *regions)
    return Unseeded(
        channel.read_records(files.channel),
        {r.name: float(np.median(c.kernel)) for r, c in zip(measured, counts.regions, strict=True)},
    )


def test_an_unseeded_generator_fakes_a_gain_of_three_times(first, unseeded) -> None:
    """Kernel-stack randomisation asks it in each system call, until 7.0 on its slowest path."""
    old, new = (
        float(np.median(next(s.values for s in first[kernel].samples if s.metric == metric)))
        for kernel in KERNELS
        for metric in [f"arm64:{TRAPPED}/kernel_instructions"]
    )
    faked = unseeded.paths[f"arm64:{TRAPPED}"]
    assert 2.5 < faked / new < 4
    assert 0.95 < old / new < 1.05, "seeded, the two kernels are nearly alike"
    assert unseeded.paths["arm64:syscall-getppid/1p"] > 5000


def test_such_a_boot_is_refused(unseeded) -> None:
    assert unseeded.records.one("crng") == {"type": "crng", "ready": False}
    plan = plan_of(KERNELS, globs=["pipe"], arch=Arch.ARM64)
    with pytest.raises(InvalidTrial, match="random generator is not ready"):
        check_guest(plan.arms[0].ref, unseeded.records, {})


def test_the_generator_was_ready_in_every_boot_that_counts(first) -> None:
    assert all(record.facts["crng_ready"] is True for record in first.values())


def write_golden() -> None:
    """Count, and take that for golden from now on."""
    counted = golden_of({kernel: boot_once(kernel) for kernel in KERNELS})
    GOLDEN.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n")
    sys.stderr.write(f"wrote {GOLDEN}\n")


if __name__ == "__main__":
    write_golden()
