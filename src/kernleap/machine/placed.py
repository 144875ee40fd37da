"""Placed machines: kernels boot on an emulated shape, and their scheduler is watched.

What is measured is what the kernel decides, never how long anything takes: the emulated CPUs
take turns on one thread of the host, under the emulator's instruction clock, so that the host's
load has no part in it and the same inputs give the same placement.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from kernleap.guest import channel
from kernleap.guest.channel import Records
from kernleap.guest.plan import placed_plan
from kernleap.machine.argv import BootFiles, kernel_cmdline, placed_argv
from kernleap.machine.collect import InvalidTrial
from kernleap.machine.emulated import Collected, EmulatedMachine
from kernleap.machine.process import run_emulator
from kernleap.machine.truth import check_truth
from kernleap.model.errors import UsageError
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.run import Region, RunPlan
from kernleap.model.topology import Topology
from kernleap.model.trial import Samples, Trial, TrialRecord
from kernleap.probe.placement import Play, disagreement, quantities, read_plays, whereabouts
from kernleap.workload.placement import QUANTITIES

_UNITS = {quantity.name: quantity.unit for quantity in QUANTITIES}
SUSPICIOUS, CONTRADICTORY = 0.1, 0.25
"""Differences of locality between threads and trace: worth a warning; no result at all."""


class PlacedMachine(EmulatedMachine):
    """Runs placement trials. Safe to use from several threads.

    Raises:
        InfrastructureError: there is no usable emulator or guest (when constructed).
        UsageError: the spec has no shape, or the emulator not its CPU model (when constructed).
    """

    def __init__(self, spec: MachineSpec) -> None:
        if spec.topology is None:
            raise UsageError("a placed machine needs a profile", where="--profile")
        self.topology: Topology = spec.topology
        super().__init__(replace(spec, cpu=self.topology.emulator.cpu))

    def run(
        self,
        plan: RunPlan,
        trial: Trial,
        image: KernelImage,
        workdir: Path,
        stop: threading.Event,
    ) -> TrialRecord:
        """Boot once and watch; see TrialRunner."""
        ref = plan.arm(trial.arm).ref
        regions = plan.parts[trial.part].regions
        files = BootFiles(image.vmlinuz, self.guest.path, workdir / "channel")
        text = placed_plan(
            seed=trial.seed,
            settle_s=self.spec.settle_s,
            modifiers=ref.modifiers,
            regions=regions,
        )
        channel.create(files.channel, text)
        cmdline = kernel_cmdline(ref.modifiers, self.spec.arch, placed=True)
        argv = placed_argv(self.emulator.path, self.topology, files, cmdline, trial.seed)
        outcome = run_emulator(argv, workdir, self.spec.time_limit_s, stop)
        facts = {**self.facts(image, cmdline), "profile": self.topology.name}

        def collected(records: Records, warnings: list[str]) -> Collected:
            check_truth(self.topology, records, facts)
            samples, picture = collect_plays(self.topology, regions, records, warnings)
            return Collected(samples, artifacts={"placement": picture})

        return self.record(trial, ref, outcome, told=files.channel, facts=facts, collect=collected)


def collect_plays(
    topology: Topology, regions: tuple[Region, ...], records: Records, warnings: list[str]
) -> tuple[tuple[Samples, ...], str]:
    """The samples of a boot, and the whereabouts of its threads as JSON.

    Raises:
        InvalidTrial: guest and plan, or threads and trace, contradict each other.
        ChannelError: what the guest wrote is broken.
    """
    plays = read_plays(records, topology.cpus)
    wanted = [region.name for region in regions for _ in range(region.params[2])]
    if [play.name for play in plays] != wanted:
        raise InvalidTrial(f"the guest played {len(plays)} times, not {len(wanted)}")
    llc_of = topology.llc_of()
    values: dict[str, dict[str, list[float]]] = {region.name: {} for region in regions}
    pictures = []
    for play in plays:
        _cross_check(play, llc_of, warnings)
        found = quantities(play, llc_of)
        if "locality" not in found:
            raise InvalidTrial(f"{play.name}: its threads did not run")
        for name, value in found.items():
            values[play.name].setdefault(name, []).append(value)
        pictures.append(
            {
                "region": play.name,
                "bin_ms": play.bin_ms,
                "locality": round(found["locality"], 4),
                "threads": whereabouts(play, llc_of),
            }
        )
    samples = tuple(
        Samples(f"{region}/{name}", _UNITS[name], np.array(series))
        for region, by_name in values.items()
        for name, series in by_name.items()
    )
    return samples, json.dumps({"llcs": list(topology.truth.llcs), "plays": pictures})


def _cross_check(play: Play, llc_of: Mapping[int, int], warnings: list[str]) -> None:
    """Hold the threads' own account against the trace.

    Raises:
        InvalidTrial: they contradict each other.
    """
    if play.untraced:
        warnings.append(f"{play.name}: not cross-checked, the kernel lacks {play.untraced}")
        return
    apart = disagreement(play, llc_of)
    if not apart <= CONTRADICTORY:
        raise InvalidTrial(f"{play.name}: threads and trace disagree on locality by {apart:.2f}")
    if apart > SUSPICIOUS:
        warnings.append(f"{play.name}: locality of threads and trace are {apart:.2f} apart")
