"""Golden counts: every machine with this QEMU must count what the first one counted.

Counts depend on the kernel's and the guest's bytes, on QEMU's version and on the CPU model.
`python tests/boot/test_golden_counts.py` writes the file anew after a change of the guest.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from kernleap.model.trial import TrialStatus
from kernleap.report.json import samples_sha256
from lab_runs import image_of, lab_of, plan_of, run_trial

pytestmark = [pytest.mark.boot, pytest.mark.network]

GOLDEN = Path(__file__).parents[1] / "golden" / "counts.json"
KERNELS = ("debian:7.0.13+deb13-cloud-amd64", "debian:7.2.12+deb13-cloud-amd64")
SEED = 20260101


def counted() -> dict[str, Any]:
    """What this machine counts, in the golden file's shape."""
    lab = lab_of()
    plan = plan_of(KERNELS, suite="micro", seed=SEED)
    kernels = {}
    for trial in sorted(plan.trials, key=lambda t: t.arm):
        record = run_trial(plan, trial)
        assert record.status is TrialStatus.OK, record.reason
        kernels[trial.arm] = {
            "sha256": image_of(trial.arm).sha256,
            "seed": trial.seed,
            "metrics": {
                s.metric: [float(s.values.sum()), samples_sha256(s.values)[:16]]
                for s in record.samples
                if s.metric.endswith("instructions")
            },
        }
    return {
        "emulator": lab.emulator.identity,
        "cpu": lab.spec.cpu,
        "guest_sha256": lab.guest.sha256,
        "kernels": kernels,
    }


def test_this_machine_counts_what_the_first_one_counted():
    golden = json.loads(GOLDEN.read_text())
    here = lab_of().emulator.identity
    if here != golden["emulator"]:
        pytest.skip(f"golden counts are of {golden['emulator']}; here is {here}")
    for name, kernel in golden["kernels"].items():
        if image_of(name).sha256 != kernel["sha256"]:
            pytest.skip(f"the archive has another build of {name} than the golden one")
    assert lab_of().guest.sha256 == golden["guest_sha256"], (
        "the guest has changed: its counts are others. If that was meant, "
        f"run: python {Path(__file__).name}"
    )
    assert counted() == golden


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(counted(), indent=1, sort_keys=True) + "\n")
    sys.stderr.write(f"wrote {GOLDEN}\n")
    if shutil.which("qemu-system-aarch64"):
        import test_arm64  # beside this file, as the program was started

        test_arm64.write_golden()
