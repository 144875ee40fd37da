"""How the numbers came about: methods, inputs and noise floor, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernleap.model.metric import Grade, Role
from kernleap.model.run import Part, RunPlan
from kernleap.report import text
from kernleap.report.parts import MethodView, MetricView, NoiseView

if TYPE_CHECKING:
    from kernleap.judge import NoiseFloor

_ROLES: dict[str, str] = {
    Role.PATH: "kernel paths",
    Role.SCHEDULED: "paths across the fair scheduler",
    Role.BEHAVIOUR: "behaviour",
}
_GRADES: dict[str, MethodView] = {
    Grade.COUNTED: MethodView(
        "Counted",
        "Exact instruction counts from an emulated machine with one CPU, where every boot with "
        "the same inputs gives the same counts. They say how long a path is, and which function "
        "makes it so; they say nothing about caches, memory, or time.",
    ),
    Grade.PLACED: MethodView(
        "Placed",
        "What the scheduler decides on an emulated machine with several last-level caches: "
        "where threads run and move. It does not say whether that is faster.",
    ),
    Grade.TIMED: MethodView(
        "Timed",
        "Measured by the clock on the hosts named under inputs. It holds for that hardware only.",
    ),
}


def methods(plan: RunPlan, metrics: tuple[MetricView, ...]) -> tuple[MethodView, ...]:
    """What a reader must know to trust or doubt the figures of this run."""
    parts = [_GRADES[g] for g in dict.fromkeys(str(m.metric.grade) for m in metrics)]
    blocks = len({t.block for t in plan.trials})
    parts.append(_observation(plan, blocks))
    levels = list(dict.fromkeys(f.confidence_text for m in metrics for f in m.findings))
    margins = sorted({f.margin for m in metrics for f in m.findings})
    if levels and margins:
        shown = text.listing([f"{m * 100:g} %" for m in margins])
        parts.append(
            MethodView(
                "Ratio, interval, margin",
                "A ratio is candidate over baseline. Its interval (confidence "
                f"{text.listing(levels)}) is held against a practical margin of {shown}: wholly "
                "beyond it the metric is better or worse, wholly inside it equivalent, otherwise "
                "undecided. Metrics whose events or modes differ between arms are called "
                "behaviour changed: the kernel did something else, not the same by a longer path.",
            )
        )
    if any(f.explanation for m in metrics for f in m.findings):
        parts.append(
            MethodView(
                "Functions",
                "Function deltas are kernel instructions per operation, counted at the commonest "
                "course of the operation on both sides. Groups, with what is not listed, add up "
                "to the total.",
            )
        )
    return tuple(parts)


def _observation(plan: RunPlan, blocks: int) -> MethodView:
    word = plan.trial_word
    if word == "file":
        return MethodView(
            "One file, one observation",
            f"{text.plural(len(plan.trials), 'file')} of results that another load generator "
            "wrote; kernleap saw neither the machine nor the load, and takes each figure as its "
            "tool defines it (see the metrics). "
            + (
                "Files of all arms that were taken in turns are pairs."
                if blocks < len(plan.trials)
                else "The arms were not measured in turns: they are compared as groups."
            ),
        )
    return MethodView(
        f"One {word}, one observation",
        f"{text.plural(len(plan.trials), word)} in {text.plural(blocks, 'block')}, each block "
        f"{'booting' if word == 'boot' else 'trying'} every arm once in a random order drawn from "
        f"the run's seed. The operations within a {word} are summarised to one value before arms "
        f"are compared, so many operations of one {word} never pass for many observations.",
    )


def provenance(plan: RunPlan) -> tuple[tuple[str, str], ...]:
    """The inputs that all arms share."""
    rows = [
        *_machine_rows(plan.parts),
        ("Suites" if len(plan.parts) > 1 else "Suite", ", ".join(plan.suites)),
        ("Seed", str(plan.seed)),
        ("kernleap", plan.kernleap_version),
    ]
    return tuple((name, text.clean(value)) for name, value in rows if value)


def _machine_rows(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """What the machines are, a row each; by suite where they are not alike."""
    tables = [(part.label, _machine_table(part)) for part in parts]
    rows: list[tuple[str, str]] = []
    for name in tables[0][1] if tables else ():
        values = {suite: table.get(name, "") for suite, table in tables}
        if len(set(values.values())) == 1:
            rows.append((name, next(iter(values.values()))))
        else:
            rows += [(f"{name}, {suite}", value) for suite, value in values.items()]
    return rows


def _machine_table(part: Part) -> dict[str, str]:
    machine = part.machine
    if machine.kind == "imported":
        return {"Machine": "not seen by kernleap: the results are of another load generator"}
    if machine.mode == "timed":
        return {
            "Kernel": part.emulator_version,
            "CPU model": machine.cpu,
            "Machine": f"{machine.kind}, {machine.mode}, {machine.arch}",
            "CPUs": str(machine.vcpus),
            "Load driver and boot parameters (SHA-256)": part.guest_sha256,
        }
    return {
        "Emulator": part.emulator_version,
        "CPU model": machine.cpu,
        "Machine": f"{machine.kind}, {machine.mode}, {machine.arch}",
        "CPUs and memory": f"{machine.vcpus}, {machine.memory_mib} MiB",
        "Settling time": f"{machine.settle_s:g} guest seconds",
        "Guest image (SHA-256)": part.guest_sha256,
    }


def noise_view(noise: NoiseFloor | None) -> NoiseView | None:
    """The noise floor that the A/A arm of this run showed; None without such an arm."""
    if noise is None:
        return None
    rows = [
        (
            f"largest difference, {_ROLES.get(role, text.clean(role, 40))}",
            text.percent(1.0 + size).lstrip("+"),
        )
        for role, size in noise.largest.items()
    ]
    false = tuple(text.clean(name) for name in noise.false_calls)
    called = f"{len(false)}: {text.listing(false[:6])}" if false else "none"
    rows.append(("metrics compared", f"{noise.metrics:,}"))
    rows.append(("called changed although nothing differed", called))
    verdict = (
        "Nothing was called changed."
        if not false
        else f"{text.plural(len(false), 'metric')} of {noise.metrics:,} called changed: read "
        "differences of this size with suspicion."
    )
    return NoiseView(
        floor=noise,
        text="The baseline was measured again as an arm of its own; whatever differs between the "
        f"two is noise of this run. {verdict}",
        rows=tuple(rows),
    )
