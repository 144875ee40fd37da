"""The reference of metrics: docs/metrics.md is what this returns, and a test checks it."""

from __future__ import annotations

from collections.abc import Iterable

from kernleap.model.metric import Metric
from kernleap.workload import catalogue
from kernleap.workload.metrics import EVENTS, INSTRUCTIONS, ROLES, metrics_for
from kernleap.workload.placement import QUANTITIES as PLACED_QUANTITIES
from kernleap.workload.placement import WORKLOADS
from kernleap.workload.placement.metrics import LOCALITY
from kernleap.workload.serving.reference import serving_sections
from kernleap.workload.spec import FORMS, Region, WorkloadSpec

_FORM_WORDS = {
    "1p": "one process does both sides of the operation; it never sleeps",
    "2p-fifo": "two processes under SCHED_FIFO, one priority: no fair scheduler, no preemption",
    "2p-batch": "two processes under SCHED_BATCH: the fair scheduler, without wakeup preemption",
    "2p-other": "two processes under SCHED_OTHER, as applications run",
}

_HEAD = """\
# Metrics

Generated from the catalogue of workloads (`src/kernleap/workload/catalogue/`) and from what the
serving metrics declare; do not edit. The counted suites first, then serving, counted and timed.
How to add a workload is in [workloads.md](workloads.md), how metrics are judged in
[statistics.md](statistics.md).

A metric's name reads `workload/form/quantity`, for instance `pipe/2p-fifo/kernel_instructions`.
On arm64 `arm64:` stands before it ([architectures.md](architectures.md)), and nothing has
`rep_iterations`.
Every value counts what happened between the end of one operation and the end of the next.
"""

_DIRECTION = """\
How the operations of one boot become its one value depends on the form. Lower is better for
`kernel_instructions` of `1p`, `2p-fifo` and `2p-batch`; everything else is behaviour, which is
reported and never called better or worse.
"""

_PLACED = """\
Placed evidence ([placement.md](placement.md)): what the scheduler decides on an emulated shape of
machine. Threads are pinned alternately over the last-level caches, released, and watched for a
second; quantities cover its second half unless they say otherwise. A boot plays each workload a few
times, and the mean is its value. *Threads* note their CPU time themselves, *trace* is the kernel's
own account (tracefs); a boot in which the two contradict each other is invalid. Hand-offs and
wakeups are measured where threads talk.
"""


def metrics_page() -> str:
    """The page as Markdown, ending in a newline."""
    specs = tuple(catalogue.load().values())
    return "\n".join(
        [
            _HEAD,
            *_forms(),
            *_quantities(specs),
            *_workloads(specs),
            *_suites(),
            *_placement(),
            *_serving(),
        ]
    )


def _forms() -> Iterable[str]:
    yield "## Forms\n"
    yield from _table(
        ("form", "what runs", "role of its kernel instructions"),
        ((f"`{f}`", _FORM_WORDS[f], f"{role}: {ROLES[role]}") for f, role in FORMS.items()),
    )


def _quantities(specs: tuple[WorkloadSpec, ...]) -> Iterable[str]:
    usual = next(s for s in specs if s.aggregation is None and tuple(FORMS) == s.forms)
    by_form = {form: metrics_for([Region(usual, form)]) for form in FORMS}
    yield "## Quantities\n"
    yield _DIRECTION
    rows = []
    for position, quantity in enumerate((*INSTRUCTIONS, *EVENTS)):
        ways: list[Metric] = [metrics[position] for metrics in by_form.values()]
        rows.append(
            (
                f"`{quantity.name}`",
                quantity.unit,
                ", ".join(m.aggregation for m in ways),
                quantity.description,
            )
        )
    yield from _table(("quantity", "unit", f"value of a boot ({', '.join(FORMS)})", "what"), rows)


def _workloads(specs: tuple[WorkloadSpec, ...]) -> Iterable[str]:
    yield "## Workloads\n"
    for family in dict.fromkeys(spec.family for spec in specs):
        yield f"### {family}\n"
        for spec in specs:
            if spec.family != family:
                continue
            forms = ", ".join(f"`{form}`" for form in spec.forms)
            yield f"**`{spec.name}`** ({forms}; {spec.iterations} operations after {spec.warmup})  "
            yield f"{spec.description}  "
            if spec.aggregation:
                yield f"Value of a boot: the {spec.aggregation} over its operations.  "
            yield f"Why: {spec.why}\n"


def _suites() -> Iterable[str]:
    yield "## Suites\n"
    rows = []
    for name in catalogue.suites():
        members = dict.fromkeys(region.name.split("/")[0] for region in catalogue.suite(name))
        everything = name == catalogue.MICRO
        rows.append((f"`{name}`", "all" if everything else ", ".join(members)))
    yield from _table(("suite", "workloads"), rows)


def _serving() -> Iterable[str]:
    for title, introduction, (head, rows) in serving_sections():
        yield f"## {title}\n"
        yield introduction
        yield from _table(head, rows)


def _placement() -> Iterable[str]:
    yield "## Placement\n"
    yield _PLACED
    rows = [
        (f"`{q.name}`", q.unit, "higher" if q.name == LOCALITY else "", q.source, q.description)
        for q in PLACED_QUANTITIES
    ]
    yield from _table(("quantity", "unit", "better", "seen by", "what"), rows)
    for region in WORKLOADS:
        yield f"**`{region.name}`**  "
        yield f"{region.description}  "
        yield f"Why: {region.why}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
