"""SIGKILL the controller at random moments of a real run, resume, and count what is left.

    python bench/kill_controller.py [--kills N] [--boots N]

Ends with status 1 when a trial was lost, duplicated or half-written, or an emulator stayed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kernleap.store import RunStore

REFS = ("debian:7.0", "debian:7.2")


def emulators(home: Path) -> int:
    """Emulators that belong to runs below `home`."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"KERNLEAP_RUNS={home}".encode() in entry.read_bytes():
                found += b"qemu-system" in (entry.parent / "comm").read_bytes()
        except OSError:
            continue
    return found


def main() -> None:
    """Kill, resume, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--boots", type=int, default=12)
    options = parser.parse_args()
    moments = random.Random(20)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        env = {**os.environ, "KERNLEAP_RUNS": str(home)}
        command = [sys.executable, "-m", "kernleap", "compare"]
        first = [*command, *REFS, "--boots", str(options.boots), "--workload", "syscall-getppid"]
        arguments, kills = first, 0
        while True:
            process = subprocess.Popen(
                arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            try:
                said, _ = process.communicate(
                    timeout=moments.uniform(1.0, 18.0) if kills < options.kills else None
                )
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
            runs = [p for p in home.iterdir() if (p / "plan.json").exists()]
            stored = sum(len(list(r.glob("trials/[!.]*.parquet"))) for r in runs)
            print(f"kill {kills}: {stored} trials stored", flush=True)
            arguments = [*command, "--resume", runs[0].name] if runs else first
        time.sleep(0.5)
        os.environ["KERNLEAP_RUNS"] = str(home)
        stores = [RunStore.open(p.name) for p in home.iterdir() if (p / "plan.json").exists()]
        run = stores[0].load()
        trials = Counter(r.trial.id for r in run.records)
        leftovers = [p.name for p in (home / run.plan.id / "trials").iterdir() if ".tmp" in p.name]
        left = emulators(home)
        ok = sum(r.status == "ok" for r in run.records)
        print(
            f"{kills} kills, {len(run.plan.trials)} trials planned, {len(trials)} stored, {ok} ok"
        )
        print(f"{len(stores)} run, {left} emulators left, half-written: {leftovers or 'none'}")
        good = set(trials) == {t.id for t in run.plan.trials} and set(trials.values()) == {1}
        if not good or left or leftovers or ok != len(trials) or process.returncode == 1:
            sys.exit(f"something is wrong:\n{said}")


if __name__ == "__main__":
    main()
