"""The running machine as a machine: trials of real serving, by the clock, knob by knob.

A trial sets the arm's knobs and reads them back, starts a fresh server (or takes the one that
runs already), warms it up, measures one window, ends the server, and puts the knobs back: in
that order on any exit. What a kill leaves is put back at the next start (machine.knob_host).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from kernleap.archive.download import sha256_of
from kernleap.guest.build import build_driver, host_arch
from kernleap.machine.base import Interrupted, MachineIdentity
from kernleap.machine.here_lock import alone_on_this_machine
from kernleap.machine.host_facts import host_facts
from kernleap.machine.knob_host import host_knobs
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import KernelImage
from kernleap.model.machine import MachineSpec
from kernleap.model.run import RunPlan
from kernleap.model.serving import ServingProfile, ServingWindow
from kernleap.model.trial import Samples, Trial, TrialRecord, TrialStatus
from kernleap.probe.accounting import sample_machine
from kernleap.probe.serving_windows import Observation, observe
from kernleap.workload.allreduce.region import PROGRAMS, AllreduceRegion
from kernleap.workload.allreduce.run import reduce
from kernleap.workload.serving.client import client_values
from kernleap.workload.serving.engines import ServeOptions, Serving, parse_engine, serve
from kernleap.workload.serving.timed import TimedRegion, window_values

IDLE_S = 0.5
"""How long a fresh server is left in peace, and watched for spinning."""
LOG = "server.log"
_Z95 = 1.96
_NEVER = 1 << 62


class _EngineLost(Exception):  # noqa: N818 - a result of the trial, not an error of ours
    """The engine ended in mid-trial, or gave no tokens."""


class HereMachine:
    """Runs trials on the machine that kernleap runs on. One at a time.

    Holds the lock of this machine from its making until `close` (or the end of the process).

    Raises:
        InfrastructureError: another kernleap measures here (when constructed).
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self._stack = ExitStack()
        self._stack.enter_context(alone_on_this_machine())
        self._facts = host_facts()
        # Before anything is measured, and part of what is compared when a run is resumed.
        driver = sha256_of(build_driver(host_arch()))
        self._inputs = hashlib.sha256(f"{driver} {self._facts.get('cmdline', '')}".encode())
        self._warm: dict[TimedRegion, Serving] = {}
        self._served = False
        self._one = threading.Lock()

    @property
    def identity(self) -> MachineIdentity:
        """The load driver and the boot parameters by digest, and the kernel that runs."""
        return MachineIdentity(self._inputs.hexdigest(), f"Linux {os.uname().release}")

    def close(self) -> None:
        """End a warm server, give the machine free."""
        self._stack.close()

    def run(
        self,
        plan: RunPlan,
        trial: Trial,
        image: KernelImage,  # noqa: ARG002 - it runs already
        workdir: Path,
        stop: threading.Event,
    ) -> TrialRecord:
        """Set the knobs, serve, measure, put everything back; see TrialRunner."""
        ref = plan.arm(trial.arm).ref
        planned = plan.parts[trial.part].regions
        reduced = [AllreduceRegion.from_plan(r) for r in planned if r.program in PROGRAMS]
        regions = [TimedRegion.from_plan(r) for r in planned if r.program not in PROGRAMS]
        facts: dict[str, Any] = {**self._facts, "knobs": [], "noise": {}}
        samples: list[Samples] = []
        warnings: list[str] = []
        status, reason = TrialStatus.OK, ""
        begun, before = time.monotonic(), os.times()
        with self._one:
            try:
                if not self._served:
                    self._rehearse(regions, workdir, stop)
                with host_knobs(ref.modifiers) as knobs:
                    facts["knobs"] = [{**asdict(knob), "error": ""} for knob in knobs]
                    for region in regions:
                        seen = self._measure(region, trial.seed, workdir, facts, stop)
                        samples += _samples(region, seen)
                        warnings += _warnings(seen)
                    for number, one in enumerate(reduced):
                        samples += _reduce(one, workdir / f"ranks-{number}", facts, stop)
            except UsageError as error:
                status, reason = TrialStatus.INVALID, str(error)
            except _EngineLost as lost:
                status, reason = TrialStatus.LOST, str(lost)
        after = os.times()
        log = _tail(workdir / LOG)
        return TrialRecord(
            trial=trial,
            status=status,
            reason=reason,
            facts=facts,
            samples=tuple(samples) if status is TrialStatus.OK else (),
            artifacts={"server log": log} if log else {},
            warnings=tuple(dict.fromkeys(warnings)),
            cpu_seconds=sum(after[:4]) - sum(before[:4]),
            wall_seconds=time.monotonic() - begun,
        )

    def _rehearse(self, regions: list[TimedRegion], workdir: Path, stop: threading.Event) -> None:
        """Start each engine once, without knobs: it is fetched, and read from the disk, before
        the first trial and not in it. What fails here is no trial that failed, but a run that
        cannot be.
        """
        for number, region in enumerate(regions):
            with ExitStack() as stack:
                self._enter(stack, region, workdir / f"rehearsal-{number}", stop)
        self._served = True

    def _measure(
        self,
        region: TimedRegion,
        seed: int,
        workdir: Path,
        facts: dict[str, Any],
        stop: threading.Event,
    ) -> Observation:
        machine, at = sample_machine(), time.monotonic()
        load = os.getloadavg()[0]
        with self._serving(region, workdir, stop) as serving:
            try:
                seen = observe(
                    serving, region.load(seed), workdir, windows=1,
                    window_s=region.window_ms / 1e3, idle_s=IDLE_S, stop=stop,
                )  # fmt: skip
            except InfrastructureError as error:
                raise _EngineLost(_line(error)) from error
            facts["engine"] = _engine_facts(serving)
        elapsed = (time.monotonic() - at) * 1e9
        stolen = (sample_machine().steal_ns - machine.steal_ns) / elapsed
        facts["noise"] = {**_noise(seen), "load_average": load, "trial_steal_cpus": stolen}
        facts["accounting"] = _accounting(seen.profile)
        facts["not_measured"] = list(seen.missing)
        facts["energy_joules"] = dict(seen.machine[0].joules)
        return seen

    @contextmanager
    def _serving(
        self, region: TimedRegion, workdir: Path, stop: threading.Event
    ) -> Iterator[Serving]:
        """A fresh server, or the one that has served before where the plan says so."""
        with ExitStack() as stack:
            try:
                serving = self._enter(stack, region, workdir, stop)
            except InfrastructureError as error:
                raise _EngineLost(_line(error)) from error
            yield serving

    def _enter(
        self, stack: ExitStack, region: TimedRegion, workdir: Path, stop: threading.Event
    ) -> Serving:
        def check() -> None:
            if stop.is_set():
                raise Interrupted

        options = ServeOptions(
            streams=region.streams, threads=region.threads, while_waiting=check,
            context=max(1024, 8 * region.prompt + region.output),
        )  # fmt: skip
        ref = parse_engine(region.engine)
        if not region.warm:
            return stack.enter_context(serve(ref, replace(options, workdir=workdir)))
        if region not in self._warm:
            self._warm[region] = self._stack.enter_context(serve(ref, options))
        return self._warm[region]


def _reduce(
    region: AllreduceRegion, workdir: Path, facts: dict[str, Any], stop: threading.Event
) -> list[Samples]:
    def check() -> None:
        if stop.is_set():
            raise Interrupted

    try:
        seen = reduce(region, workdir, while_waiting=check)
    except InfrastructureError as error:
        raise _EngineLost(_line(error)) from error
    facts["allreduce"] = seen.facts
    units = {metric.quantity: metric.unit for metric in region.metrics()}
    return [
        Samples(f"{region.name}/{quantity}", units[quantity], values)
        for quantity, values in seen.values.items()
    ]


def _line(error: InfrastructureError) -> str:
    """What went wrong and, of a server's log, its last line: one line."""
    last = (error.cause or "").strip().splitlines()[-1:]
    return ": ".join([error.what, *(line.strip(" |") for line in last)])


def _samples(region: TimedRegion, seen: Observation) -> list[Samples]:
    values = window_values(seen.profile.windows[0], seen.machine[0])
    values |= client_values(seen.result, region.slo)
    units = {metric.quantity: metric.unit for metric in region.metrics()}
    return [
        Samples(f"{region.name}/{quantity}", units[quantity], np.array([value]))
        for quantity, value in values.items()
    ]


def _engine_facts(serving: Serving) -> dict[str, Any]:
    facts = asdict(serving.facts)
    facts.pop("pids")
    facts.pop("address")
    # Ours names a port of its own each time; someone else's may hold keys.
    facts.pop("command_line")
    return facts


def _noise(seen: Observation) -> dict[str, float]:
    """What else went on in the window, in CPUs, and how late the driver was."""
    profile, window = seen.profile, seen.profile.windows[0]
    delay = seen.result.histograms["schedule_delay"].quantile(0.99)
    return {
        "driver_late_ms": delay.low / 1e6 if delay else 0.0,
        "steal_cpus": window.steal_ns / window.elapsed_ns,
        "other_cpus": max(0.0, others(window, profile.driver_cpu_ratio)),
        "driver_cpus": profile.driver_cpu_ratio,
        "idle_server_cpus": profile.idle_cpu_ratio,
    }


def others(window: ServingWindow, driver_cpus: float) -> float:
    """CPUs that neither the server nor the load driver used."""
    return (window.busy_ns - window.cpu_ns) / window.elapsed_ns - driver_cpus


def _accounting(profile: ServingProfile) -> dict[str, Any]:
    """How kernel time was told from user time, and how far off this trial's may be.

    The 95 % error of a sampled share p of n ticks is 1.96 * sqrt(p (1 - p) / n), here relative
    to p.
    """
    how, window = profile.accounting, profile.windows[0]
    share = window.kernel_ns / max(1, window.cpu_ns)
    error = 0.0
    if not how.exact and window.ticks > 0 and share > 0:
        error = _Z95 * float(np.sqrt(share * (1 - share) / window.ticks)) / share
    source = "stamped at each entry and exit" if how.exact else f"sampled by a tick of {how.hz} Hz"
    return {
        "kernel_time": source,
        "kernel_share": share,
        "kernel_time_error_ratio": error,
        "interrupts_apart": how.interrupts_apart,
    }


def _warnings(seen: Observation) -> Iterator[str]:
    profile = seen.profile
    # How late and how busy it was is in the facts, and is said once for all trials.
    yield from (f"load: {warning}" for warning in seen.result.warnings(late_ns=_NEVER))
    if profile.failed_requests:
        yield f"{profile.failed_requests} of {profile.requests} requests failed"
    if ended := profile.windows[0].ended_threads:
        yield f"{ended} threads ended meanwhile: their last waiting and switches are not counted"


def _tail(log: Path, limit: int = 8 << 10) -> str:
    try:
        data = log.read_bytes()[-limit:]
    except OSError:
        return ""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
