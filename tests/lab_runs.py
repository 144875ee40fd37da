"""Running the real lab in tests: trials of real kernels, outside of any stored run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pytest
from filelock import FileLock

from kernleap import kernel
from kernleap.experiment.plan import make_arms, make_plan
from kernleap.judge import Judgement, judge
from kernleap.judge.policy import load as load_policy
from kernleap.machine import LabMachine, kind_of
from kernleap.machine.base import Machine
from kernleap.machine.registry import Regions
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch, KernelImage
from kernleap.model.machine import MachineSpec, usual_machine
from kernleap.model.metric import qualified
from kernleap.model.run import Part, RunData, RunPlan
from kernleap.model.trial import Trial, TrialRecord
from kernleap.workload import metrics_for, planned_for, select
from kernleap.workload.needs import needs_of

JOBS = 2


@lru_cache
def image_of(ref: str, arch: Arch = Arch.AMD64) -> KernelImage:
    """The kernel, fetched once; the test is skipped where it cannot be had."""
    try:
        return kernel.obtain(kernel.parse_ref(ref), arch=arch)
    except InfrastructureError as error:
        pytest.skip(f"no kernel {ref} here: {error.what}")


@lru_cache
def lab_for(spec: MachineSpec) -> LabMachine:
    """One lab for all tests of a process: it knows the symbols of what it has booted."""
    return LabMachine(spec)


def lab_of(arch: Arch = Arch.AMD64) -> LabMachine:
    """The lab of the micro suite."""
    return lab_for(usual_machine(arch))


def plan_of(
    refs: Sequence[str],
    *,
    boots: int = 1,
    suite: str = "quick",
    globs: Iterable[str] = (),
    seed: int = 1,
    arch: Arch = Arch.AMD64,
    instead: Regions = (),
) -> RunPlan:
    """The plan that `kernleap compare REFS... --arch ARCH` would make.

    `instead` are regions to run instead of the suite's.
    """
    lab = lab_for(kind_of("lab").fit(usual_machine(arch), needs_of(suite)))
    arms = make_arms([kernel.parse_ref(ref) for ref in refs])
    regions = instead or select(suite, tuple(globs))
    return make_plan(
        arms=arms,
        images={qualified(arm.name, arch): image_of(str(arm.ref), arch) for arm in arms},
        kconfig_digests={},
        parts=[
            Part(
                suite=suite,
                machine=lab.spec,
                regions=planned_for(regions, arch),
                metrics=metrics_for(regions, arch),
                guest_sha256=lab.guest.sha256,
                emulator_version=lab.emulator.identity,
                boots=boots,
            )
        ],
        seed=seed,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def run_trial(plan: RunPlan, trial: Trial, lab: Machine | None = None) -> TrialRecord:
    """Boot once."""
    spec = plan.parts[trial.part].machine
    with tempfile.TemporaryDirectory(prefix="kernleap-test-") as workdir:
        return (lab or lab_for(spec)).run(
            plan,
            trial,
            image_of(str(plan.arm(trial.arm).ref), spec.arch),
            Path(workdir),
            threading.Event(),
        )


def run_plan(plan: RunPlan) -> RunData:
    """Boot all of it."""
    with ThreadPoolExecutor(JOBS) as pool:
        records = tuple(pool.map(lambda trial: run_trial(plan, trial), plan.trials))
    return RunData(plan, records)


def shared_run(tmp_path_factory: pytest.TempPathFactory, name: str, *arguments: str) -> Path:
    """The run that `kernleap compare ARGUMENTS...` stores, made by the first worker that asks."""
    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have directories of their own, side by side.
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    runs = base / "shared" / name
    base.joinpath("shared").mkdir(exist_ok=True)
    with FileLock(f"{runs}.lock"):
        if not runs.is_dir():
            words = [sys.executable, "-m", "kernleap", "compare", *arguments, "--quiet"]
            environment = {**os.environ, "KERNLEAP_RUNS": str(runs)}
            ended = subprocess.run(
                words, env=environment, capture_output=True, text=True, check=False
            )
            # Whatever the verdict: it was measured.
            assert ended.returncode in (0, 10, 11, 12), ended.stderr
    (run,) = (path for path in runs.iterdir() if path.is_dir())
    return run


def judge_plan(plan: RunPlan) -> tuple[RunData, Judgement]:
    """Boot all of it, and judge by the default policy."""
    run = run_plan(plan)
    return run, judge(run, load_policy(None))
