"""The probes of `kernleap bound`: which can be used here, and what they saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kernleap.judge.breakdown import Breakdown, breakdown_of
from kernleap.judge.calls import Traced, traced_of
from kernleap.judge.probe_price import ProbePrice, prices_of
from kernleap.model.errors import InfrastructureError
from kernleap.model.serving import ServingProfile
from kernleap.probe.bpf import bpf_problem
from kernleap.probe.perf import perf_problem
from kernleap.probe.window_probes import BpfProbe, PerfProbe, WindowProbe, bpf_probe, perf_probe


@dataclass(frozen=True, slots=True)
class Seen:
    """What the probes saw, what they cost, and why there is no more."""

    breakdown: Breakdown | None
    traced: Traced | None
    prices: tuple[ProbePrice, ...]
    missing: dict[str, str]


@dataclass(slots=True)
class Probes:
    """The probes that are ready; `missing` says why another is not."""

    perf: PerfProbe | None = None
    bpf: BpfProbe | None = None
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> tuple[WindowProbe, ...]:
        """Those that are ready."""
        return tuple(probe for probe in (self.perf, self.bpf) if probe is not None)

    def seen(self, profile: ServingProfile) -> Seen:
        """Judge what they saw. To be called when perf has ended. Raises as `PerfProbe.samples`."""
        probed = {each.probe: each.windows for each in profile.probed}
        breakdown = traced = None
        if self.perf is not None:
            breakdown = breakdown_of(self.perf.samples(), probed["perf"], profile.client_pid)
            if breakdown is None:
                self.missing["perf"] = "fewer than two windows have samples of the server"
        if self.bpf is not None:
            traced = traced_of(self.bpf.traced, probed["bpf"])
        return Seen(breakdown, traced, prices_of(profile), self.missing)


@contextmanager
def probing(wanted: str, workdir: Path, root: int | None) -> Iterator[Probes]:
    """The probes that `wanted` (auto, none, perf, bpf) means, off, for the time of the context.

    Raises:
        InfrastructureError: one was asked for by name and cannot be used.
    """
    probes = Probes()
    with ExitStack() as stack:
        if wanted in ("auto", "perf") and _usable("perf", perf_problem(), wanted, probes):
            pids = [] if root is None else [root]
            probes.perf = stack.enter_context(perf_probe(workdir, pids))
        if wanted in ("auto", "bpf") and _usable("bpf", bpf_problem(), wanted, probes):
            probes.bpf = stack.enter_context(bpf_probe())
        yield probes


def _usable(name: str, problem: str | None, wanted: str, probes: Probes) -> bool:
    if problem is None:
        return True
    if wanted == name:
        raise InfrastructureError(f"--probe {name} cannot be used", cause=problem)
    probes.missing[name] = problem
    return False
