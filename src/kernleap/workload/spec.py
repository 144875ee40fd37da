"""Workloads and regions: what the guest is asked to do, as the catalogue describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernleap.model.metric import Role
from kernleap.model.run import Region as PlannedRegion

FORMS: dict[str, Role] = {
    "1p": Role.PATH,
    "2p-fifo": Role.PATH,
    "2p-batch": Role.SCHEDULED,
    "2p-other": Role.BEHAVIOUR,
}
"""The forms a workload may have, in the order they run, and what their counts are good for."""

MAX_PARAMS = 4
"""`PARAMS` of native/guest/runtime.h."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One entry of the catalogue.

    `program` is the name under which a C file registers its `struct workload`; several
    entries may share one and differ in `params` (the integers it finds in `ctx->param`).
    `iterations` operations are counted after `warmup` that are not.
    """

    name: str
    program: str
    family: str
    description: str
    """What one operation is, in one process and (where there are two) between two."""
    why: str
    """Why serving depends on it."""
    forms: tuple[str, ...]
    iterations: int
    warmup: int
    params: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    """Suites it belongs to besides `micro`, which has them all."""
    aggregation: str | None = None
    """How the kernel instructions of a boot become one value, where the form's own way (see
    kernleap.workload.metrics) does not fit, because no single operation stands for all."""

    def __post_init__(self) -> None:
        """Reject what the guest could not run; ValueError says which key and why."""
        for key, value in (("name", self.name), ("program", self.program)):
            if not _NAME.fullmatch(value):
                raise ValueError(f"{key} must be lower-case words joined by hyphens, not {value!r}")
        for key, value in (
            ("family", self.family),
            ("description", self.description),
            ("why", self.why),
        ):
            if not value.strip():
                raise ValueError(f"{key} must not be empty")
        if not self.forms or self.forms != tuple(f for f in FORMS if f in self.forms):
            raise ValueError(f"forms must be some of {', '.join(FORMS)}, in this order")
        if self.iterations < 1:
            raise ValueError("iterations must be at least 1")
        if self.warmup < 0:
            raise ValueError("warmup must not be negative")
        if self.aggregation not in (None, "mode", "median", "mean"):
            raise ValueError(f"aggregation must be mode, median or mean, not {self.aggregation!r}")
        if len(self.params) > MAX_PARAMS:
            raise ValueError(f"params has {len(self.params)} values; a workload takes {MAX_PARAMS}")
        for tag in self.tags:
            if not _NAME.fullmatch(tag):
                raise ValueError(f"tags must be lower-case words joined by hyphens, not {tag!r}")


@dataclass(frozen=True, slots=True)
class Region:
    """One workload in one form: what runs between two markers of the guest."""

    spec: WorkloadSpec
    form: str

    def __post_init__(self) -> None:
        if self.form not in self.spec.forms:
            raise ValueError(f"{self.spec.name} has no form {self.form!r}")

    @property
    def name(self) -> str:
        """`workload/form`, the first two parts of a metric's name."""
        return f"{self.spec.name}/{self.form}"

    @property
    def role(self) -> Role:
        """What the instruction counts of this region may be used for."""
        return FORMS[self.form]

    @property
    def planned(self) -> PlannedRegion:
        """The region as a plan carries it: all that the guest needs, without the catalogue."""
        spec = self.spec
        return PlannedRegion(
            name=self.name,
            program=spec.program,
            form=self.form,
            iterations=spec.iterations,
            warmup=spec.warmup,
            params=spec.params,
        )
