"""A controller of a run whose "guests" are small shell processes, to be killed by tests.

Run as `python run_in_processes.py RUN JOBS` it executes (or resumes) a run. The runner is a
real one as far as the executor can tell: a child process per trial, ended when asked to stop,
its output read back into a record.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from kernleap.experiment.executor.local import execute
from kernleap.experiment.plan import make_arms, make_plan
from kernleap.machine.base import Interrupted
from kernleap.model.kernel import Arch, KernelImage, KernelRef, Provenance
from kernleap.model.machine import MachineSpec
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.run import Part, Region, RunPlan
from kernleap.model.trial import Profile, Samples, Trial, TrialRecord, TrialStatus
from kernleap.store import RunStore

METRIC = "syscall-getppid/1p/kernel_instructions"
SCRIPT = 'sleep "$1"; echo $(( $2 % 50 + 300 ))'


def images_of(plan_arms) -> dict[str, KernelImage]:
    return {
        arm.name: KernelImage(
            ref=arm.ref,
            release="7.0.0",
            arch=Arch.AMD64,
            vmlinuz=Path("/nonexistent"),
            sha256=f"{position:064x}",
            provenance=Provenance(arm.ref.source),
        )
        for position, arm in enumerate(plan_arms)
    }


def small_plan(boots: int = 6, seed: int = 1) -> RunPlan:
    arms = make_arms([KernelRef("debian", "7.0"), KernelRef("debian", "7.2")])
    metric = Metric(METRIC, "instructions", Better.LOWER, Grade.COUNTED, Role.PATH, "mode")
    return make_plan(
        arms=arms,
        images=images_of(arms),
        kconfig_digests={},
        parts=(
            Part(
                suite="micro",
                machine=MachineSpec(),
                regions=(Region("syscall-getppid/1p", "syscall-getppid", "1p", 300, 10),),
                metrics=(metric,),
                guest_sha256="0" * 64,
                emulator_version="none",
                boots=boots,
            ),
        ),
        seed=seed,
        created=datetime.now(UTC),
    )


class ProcessRunner:
    """Runs a trial as `sh`; `statuses` says how attempts of a trial end (default: ok)."""

    def __init__(self, seconds: float = 0.02, statuses=None) -> None:
        self.seconds = seconds
        self.statuses = {key: list(value) for key, value in (statuses or {}).items()}
        self.attempts: list[str] = []
        self.pids: list[int] = []

    def run(self, plan, trial, image, workdir, stop) -> TrialRecord:
        assert list(workdir.iterdir()) == []
        self.attempts.append(trial.id)
        with subprocess.Popen(
            ["sh", "-c", SCRIPT, "sh", str(self.seconds), str(trial.seed)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            self.pids.append(child.pid)
            while child.poll() is None:
                if stop.wait(0.005):
                    os.killpg(child.pid, signal.SIGKILL)
                    raise Interrupted
            assert child.stdout is not None
            output = child.stdout.read()
        (workdir / "out").write_text(output)
        queue = self.statuses.get(trial.id)
        if queue and (status := queue.pop(0)) is not TrialStatus.OK:
            return TrialRecord(trial, status, reason="as the test asked")
        return record_of(trial, float(output))


def record_of(trial: Trial, value: float) -> TrialRecord:
    """What the runner makes of a child's output."""
    values = np.full(100, value)
    profile = Profile("syscall-getppid/1p", 0, 100, {"__x64_sys_getppid": int(value) * 100})
    return TrialRecord(
        trial,
        TrialStatus.OK,
        samples=(Samples(METRIC, "instructions", values),),
        profiles=(profile,),
        artifacts={"console": "booted\n" * 500},
    )


def main(run: str, jobs: str) -> None:
    if nth := int(os.environ.get("DIE_AT_FSYNC", "0")):
        _die_at_fsync(nth)
    store = RunStore.open(run)
    print("open", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    execute(
        store.plan,
        images_of(store.plan.arms),
        (ProcessRunner(),),
        store,
        jobs=int(jobs),
        progress=lambda p: print(p.done, p.total, flush=True),
        stop=stop,
    )


def _die_at_fsync(nth: int) -> None:
    """Have the kernel kill this process in the midst of its nth fsync."""
    real, calls, guard = os.fsync, [0], threading.Lock()

    def fsync(handle: int) -> None:
        with guard:
            calls[0] += 1
            if calls[0] == nth:
                os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync


if __name__ == "__main__":
    main(*sys.argv[1:])
