"""Why the times of a run may not be those of the kernels: what else the machine was doing."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus

STEAL = 0.02
"""CPUs that the hypervisor took, from which on a trial is said to have been disturbed."""
OTHERS = 0.15
"""CPUs that neither the server nor the load driver used."""
SPINNING = 0.2
"""CPUs of a server with nothing asked of it."""
DRIVER = 0.8
LATE_MS = 1.0
"""How late the load driver began 1 % of the requests."""

_RULES = (
    ("steal_cpus", STEAL, "CPUs", "the hypervisor took CPU time from this machine",
     "measure on a machine of one's own, or give more trials"),
    ("other_cpus", OTHERS, "CPUs", "other programs used the CPUs",
     "stop them: waiting, latencies and tokens/s are partly their doing"),
    ("idle_server_cpus", SPINNING, "CPUs",
     "the server spins: it used CPU time with nothing asked of it",
     "its kernel time is not the kernel's price"),
    ("driver_cpus", DRIVER, "CPUs", "the load driver used most of a CPU",
     "it may be the bottleneck"),
    ("driver_late_ms", LATE_MS, "ms", "the load driver was late (1 % of requests)",
     "latencies are partly its doing"),
)  # fmt: skip


def noise_warnings(run: RunData) -> Iterator[str]:
    """A sentence for each kind of disturbance, over all timed trials that ended well."""
    trials = [
        noise
        for record in run.records
        if record.status is TrialStatus.OK and isinstance(noise := record.facts.get("noise"), dict)
    ]
    for fact, bound, unit, what, advice in _RULES:
        values = [float(noise[fact]) for noise in trials if fact in noise]
        over = sum(value > bound for value in values)
        if over:
            yield (
                f"{what}: in {over} of {len(values)} trials more than {bound:g} {unit} "
                f"(median {median(values):.2f}); {advice}"
            )
