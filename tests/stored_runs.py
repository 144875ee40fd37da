"""Real runs that are kept with the tests (data/runs), and one of real result files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from imported_files import changed, slower
from kernleap import cli
from kernleap.store import RunStore

RUNS = Path(__file__).parent / "data/runs"
FLEET = Path(__file__).resolve().parents[1] / "examples/fleet.toml"
NOISE = (1.0, 1.004, 0.997, 1.002, 0.999)


def copy_of(name: str, to: Path) -> str:
    """The path of a copy of a kept run: reports are written beside what they report."""
    shutil.copytree(RUNS / name, to / name)
    return str(to / name)


def imported(
    directory: Path,
    factor: float,
    *,
    labels: Sequence[str] = ("debian:7.0", "debian:7.2"),
    noise: Sequence[float] = NOISE,
) -> str:
    """The path of a run imported from real files of guidellm; latencies by `factor`, in turns."""

    files = {
        arm: [
            str(
                changed(
                    directory, "guidellm-0.8.1-1.json", f"{arm}-{n}.json",
                    slower(by * one, 20.0 * n + later),
                )
            )
            for n, one in enumerate(noise if arm == "a" else reversed(noise))
        ]
        for arm, by, later in (("a", 1.0, 0.0), ("b", factor, 10.0))
    }  # fmt: skip
    words = [word for label in labels for word in ("--label", label)]
    cli.run(["import", "--baseline", *files["a"], "--candidate", *files["b"], *words])
    return str(RunStore.open("latest").path)
