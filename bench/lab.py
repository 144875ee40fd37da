"""What the lab costs and how steady it is, on this machine.

    python bench/lab.py [--kernel REF] [--boots N] [--pairs N]

Prints: CPU of a counted boot against the same boot without the plugin (pairs in turn, since
machines are noisy), CPU seconds of a boot, spread of one-process medians over seeds, wall time
from the command to the verdict with a warm cache, and how trials scale with --jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kernleap import kernel
from kernleap.experiment.plan import make_arms, make_plan
from kernleap.machine import LabMachine
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec
from kernleap.model.run import Part, RunPlan
from kernleap.model.trial import TrialRecord
from kernleap.workload import metrics_for, select

COUNTED = MachineSpec()
PLAIN = replace(COUNTED, mode="plain")


def plan_of(ref: str, lab: LabMachine) -> RunPlan:
    """One kernel, the whole micro suite."""
    arms = make_arms([kernel.parse_ref(ref), kernel.parse_ref(ref)])
    regions = select()
    return make_plan(
        arms=arms,
        images={a.name: kernel.obtain(a.ref, arch=Arch.AMD64) for a in arms},
        kconfig_digests={},
        parts=[
            Part(
                suite="micro",
                machine=lab.spec,
                regions=tuple(r.planned for r in regions),
                metrics=metrics_for(regions),
                guest_sha256=lab.guest.sha256,
                emulator_version=lab.emulator.identity,
                boots=1,
            )
        ],
        seed=1,
        created=datetime.now(UTC),
    )


def boot(lab: LabMachine, plan: RunPlan) -> TrialRecord:
    """One boot of the plan's first trial."""
    image = kernel.obtain(plan.baseline.ref, arch=Arch.AMD64)
    with tempfile.TemporaryDirectory() as workdir:
        record = lab.run(plan, plan.trials[0], image, Path(workdir), threading.Event())
    if record.status != "ok":
        sys.exit(f"a boot ended {record.status}: {record.reason}")
    return record


def plugin_cost(ref: str, pairs: int) -> None:
    """CPU of counted boots over CPU of plain ones, pair by pair."""
    counted, plain = LabMachine(COUNTED), LabMachine(PLAIN)
    plan = plan_of(ref, counted)
    ratios = []
    for number in range(pairs):
        order = (counted, plain) if number % 2 else (plain, counted)
        cpu = {lab.spec.mode: boot(lab, plan).cpu_seconds for lab in order}
        ratios.append(cpu["counted"] / cpu["plain"])
        print(
            f"pair {number + 1}: counted {cpu['counted']:.2f} CPU-s, plain {cpu['plain']:.2f} "
            f"CPU-s, ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"CPU of a counted boot / of a plain one: median {statistics.median(ratios):.3f}")


def compare(*arguments: str, runs: Path) -> tuple[float, dict]:
    """`kernleap compare` as a user runs it; wall seconds and its JSON report."""
    report = runs / "report.json"
    began = time.monotonic()
    done = subprocess.run(
        (sys.executable, "-m", "kernleap", "compare", *arguments, "--json", str(report)),
        env={**os.environ, "KERNLEAP_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if not report.exists():
        sys.exit(f"compare ended with {done.returncode}:\n{done.stderr}")
    return wall, json.loads(report.read_text())


def verdict_time(ref: str, boots: int) -> None:
    """Wall time to a verdict, CPU of a boot, spread of one-process paths."""
    with tempfile.TemporaryDirectory() as runs:
        compare(ref, ref, "--boots", "1", "--workload", "syscall-getppid", runs=Path(runs))
        wall, report = compare(ref, ref, "--boots", str(boots), runs=Path(runs))
    cpu = [t["cpu_seconds"] for t in report["trials"]]
    print(
        f"wall time to the verdict, warm cache: {wall:.1f} s for {len(cpu)} boots; "
        f"CPU of a boot: median {statistics.median(cpu):.1f} s"
    )
    spreads = {
        m["name"]: m["baseline"]["spread"]
        for m in report["metrics"]
        if "/1p/kernel_instructions" in m["name"]
    }
    worst = max(spreads, key=spreads.__getitem__)
    print(
        f"spread of one-process medians over {boots} seeds: 0 in "
        f"{sum(s == 0 for s in spreads.values())} of {len(spreads)}, at most "
        f"{100 * spreads[worst]:.4f} % ({worst})"
    )


def scaling(ref: str) -> None:
    """Wall time of eight light boots at one, two and four jobs."""
    first = 0.0
    for jobs in (1, 2, 4):
        with tempfile.TemporaryDirectory() as runs:
            wall, report = compare(
                *(ref, ref, "--boots", "4", "--suite", "quick", "--jobs", str(jobs)),
                runs=Path(runs),
            )
        first = first or wall
        print(
            f"--jobs {jobs}: {wall:.1f} s for {len(report['trials'])} boots, "
            f"{first / wall:.2f} times as fast as one job",
            flush=True,
        )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", default="debian:7.2", metavar="REF")
    parser.add_argument("--boots", type=int, default=5, help="boots an arm (default 5)")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of boots (default 3)")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, {LabMachine(COUNTED).emulator.identity}, {COUNTED.cpu}")
    plugin_cost(options.kernel, options.pairs)
    verdict_time(options.kernel, options.boots)
    scaling(options.kernel)


if __name__ == "__main__":
    main()
