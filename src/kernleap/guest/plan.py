"""The plan a guest follows: lines of text, read by native/guest/init.c."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kernleap.guest.serving import serving_lines
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Modifier, ModifierKind
from kernleap.model.run import Region
from kernleap.workload.serving.region import PROGRAM

_LONGEST_VALUE = 400


def symbols_plan(seed: int) -> str:
    """The plan of a boot that only hands over the kernel's symbols."""
    return f"seed {seed}\nsymbols\n"


def trial_plan(
    *,
    seed: int,
    settle_s: float,
    modifiers: Iterable[Modifier],
    events: Mapping[int, Sequence[int]],
    regions: Sequence[Region],
) -> str:
    """The plan of one counted boot.

    Args:
        seed: expanded into the entropy that the guest credits.
        settle_s: guest seconds of sleep before the first region.
        modifiers: all of the arm's; those for the command line are not for the guest.
        events: event id → entry addresses of the kernel functions that make the event.
        regions: what to run, in order.

    Raises:
        UsageError: a knob's key or value holds what the plan's format cannot.
    """
    lines = [f"seed {seed}"]
    lines += [_knob(m) for m in modifiers if m.kind is not ModifierKind.CMDLINE]
    lines.append(f"settle {settle_s}")
    lines += [f"event {event} {address:x}" for event in sorted(events) for address in events[event]]
    for region in regions:
        if region.program == PROGRAM:
            lines += serving_lines(region, seed)
            continue
        numbers = " ".join(str(n) for n in (region.iterations, region.warmup, *region.params))
        lines.append(f"run {region.program} {region.form} {numbers}")
    return "\n".join(lines) + "\n"


def placed_plan(
    *, seed: int, settle_s: float, modifiers: Iterable[Modifier], regions: Sequence[Region]
) -> str:
    """The plan of one boot on an emulated shape; arguments as in `trial_plan`.

    Of a region, `params` are processes, threads and how often it is played; `warmup` and
    `iterations` are milliseconds.

    Raises:
        UsageError: a knob's key or value holds what the plan's format cannot.
    """
    lines = [f"seed {seed}"]
    lines += [_knob(m) for m in modifiers if m.kind is not ModifierKind.CMDLINE]
    lines += [f"settle {settle_s}", "processors"]
    for region in regions:
        groups, threads, plays = region.params
        size = f"{groups} {threads} {region.warmup} {region.iterations}"
        lines += [f"place {region.name} {region.program} {size}"] * plays
    return "\n".join(lines) + "\n"


def _knob(modifier: Modifier) -> str:
    value = modifier.value or ""
    if any(c in modifier.key + value for c in "\t\n\0") or len(value) > _LONGEST_VALUE:
        raise UsageError(
            "a knob's key or value cannot be handed to the guest",
            where=str(modifier)[:200],
            cause="it holds a tab or a line break, or is too long",
            next_step="kernleap compare --help",
        )
    return f"knob {modifier.kind}\t{modifier.key}\t{value}"
