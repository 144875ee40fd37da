"""What `kernleap bound` prints: for people, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from kernleap.cli._bound_probes import Seen
from kernleap.judge.bound import Bound
from kernleap.judge.breakdown import (
    Breakdown,
    Kernel,
    Part,
    share_of_token,
    spinning_calls,
)
from kernleap.judge.calls import Traced
from kernleap.judge.levers import levers
from kernleap.model.serving import ServingProfile
from kernleap.stats.mean import Mean
from kernleap.workload.serving.engines import EngineFacts

SCHEMA = 1
_TOP = 8


def document(
    facts: EngineFacts, load: dict[str, Any], profile: ServingProfile, found: Bound, seen: Seen
) -> dict[str, Any]:
    """Everything, as one JSON object: times in the units of the names, shares as ratios."""
    measured = asdict(profile)
    measured.pop("windows")
    measured.pop("probed")
    engine = asdict(facts)
    if not facts.managed:  # someone else's: it may hold keys
        engine.pop("command_line")
    return {
        "schema": SCHEMA,
        "engine": engine,
        "load": load,
        "machine": measured,
        "bound": {
            **_mean(found.share),
            "most": found.most,
            "settled": found.settled,
            "sentence": found.sentence,
            "windows": list(found.windows),
        },
        "work": _mean(found.work),
        "parts": {part.name: {**_mean(part.share), "levers": part.levers} for part in found.parts},
        "per_token": {
            name: _mean(value) if value else None for name, value in found.per_token.items()
        },
        "tokens_per_second": _mean(found.tokens_per_second),
        "kernel_ratio": {**_mean(found.kernel_ratio), "sampling_error": found.kernel_ratio_error},
        "warnings": [*found.warnings, *spinning_calls(seen.breakdown, found.work)],
        "windows": [asdict(window) for window in profile.windows],
        "probed_windows": {p.probe: [asdict(w) for w in p.windows] for p in profile.probed},
        "probes": {
            price.probe: {"rate": _mean(price.rate), "cpu": _mean(price.cpu)}
            for price in seen.prices
        },
        "probes_missing": seen.missing,
        "breakdown": _breakdown(seen.breakdown, found),
        "traced": asdict(seen.traced) if seen.traced else None,
    }


def _mean(mean: Mean) -> dict[str, float]:
    return {"mean": mean.value, "low": mean.low, "high": mean.high, "spread": mean.spread}


def _breakdown(breakdown: Breakdown | None, found: Bound) -> dict[str, Any] | None:
    if breakdown is None:
        return None

    def of(kernel: Kernel | None) -> dict[str, Any] | None:
        if kernel is None:
            return None
        return {
            "samples": kernel.samples,
            "us_per_token": _mean(kernel.us_per_token),
            **{
                name: {
                    part.name: {"share": _mean(part.share), "us": _mean(part.us_per_token)}
                    for part in getattr(kernel, name)
                }
                for name in ("contexts", "subsystems", "levers", "functions")
            },
        }

    touched = {}
    for part in breakdown.server.levers if breakdown.server else ():
        value, most = share_of_token(part, found.work)
        acts = levers()[part.name].acts if part.name in levers() else ""
        touched[part.name] = {"mean": value, "most": most, "acts": acts}
    return {
        "event": breakdown.event,
        "lost": breakdown.lost,
        "kernel_ratio": _mean(breakdown.kernel_ratio),
        "server": of(breakdown.server),
        "client": of(breakdown.client),
        "elsewhere": of(breakdown.elsewhere),
        "share_of_token": touched,
    }


def show(facts: EngineFacts, profile: ServingProfile, found: Bound, seen: Seen) -> None:
    """Print it all, for people."""
    model = facts.model
    what = f"{model.name} {model.quantisation}" if model else facts.model_name
    echo = click.echo
    streams = (
        f"{profile.streams} in flight on average"
        if profile.open_loop
        else (f"{profile.streams} streams")
    )
    echo(f"{facts.engine} {facts.version}, {what}, {streams}")
    echo()
    echo(f"  {found.sentence}")
    echo()
    low, high = max(0.0, found.share.low), found.most
    echo(
        f"  bound      {_percent(found.share.value)} of a token's time, 95 % interval "
        f"{_percent(low)} to {_percent(high)}, {found.share.n} windows"
    )
    for part in found.parts:
        echo(f"  {part.name:<10} {_percent(part.share.value):>7}   {part.levers}")
    work = found.work
    echo(
        f"  without waiting {_percent(work.value)}, {_percent(max(0.0, work.low))} to "
        f"{_percent(min(1.0, work.high))}: the kernel's own work"
    )
    rate = found.tokens_per_second
    echo()
    echo(f"  tokens/s   {rate.value:,.0f} ± {rate.high - rate.value:,.0f}")
    for name, label in _ROWS:
        value = found.per_token[name]
        text = (
            "not known" if value is None else f"{value.value:.3g} ± {value.high - value.value:.2g}"
        )
        echo(f"  {label:<34} {text}")
    ratio = f"{_percent(found.kernel_ratio.value)} of the server's CPU time"
    if profile.accounting.exact:
        echo(f"  kernel share: {ratio}, exact")
    else:
        echo(
            f"  kernel share: {ratio}, sampled at {profile.accounting.hz} Hz: "
            f"± {_percent(found.kernel_ratio_error)} in each window (95 %)"
        )
    if latencies := _latencies(profile):
        echo(f"  {latencies}")
    if seen.breakdown is not None:
        echo()
        _show_breakdown(seen.breakdown, found)
    if seen.traced is not None:
        echo()
        _show_traced(seen.traced)
    echo()
    for price in seen.prices:
        echo(
            f"  {price.probe} costs {_change(price.cpu)} CPU a token and {_change(price.rate)} "
            "tokens/s; it is off where the bound is measured"
        )
    for name, why in seen.missing.items():
        echo(f"  {name}: {why}")
    for warning in (*found.warnings, *(spinning_calls(seen.breakdown, found.work))):
        echo(f"  warning: {warning}")
    for note in _notes(profile):
        echo(f"  note: {note}")


def _latencies(profile: ServingProfile) -> str:
    shown = [
        f"{label} {profile.client[f'{name}_p50']:.3g} / {profile.client[f'{name}_p99']:.3g} ms"
        for name, label in (("ttft", "TTFT"), ("tpot", "TPOT"), ("e2e", "whole answer"))
        if f"{name}_p99" in profile.client
    ]
    return f"median / p99, all windows: {', '.join(shown)}" if shown else ""


def _show_breakdown(breakdown: Breakdown, found: Bound) -> None:
    server = breakdown.server
    if server is None:
        click.echo("  where kernel time goes: the samples show none of the server's")
        return
    click.echo(
        f"  where the server's kernel time goes ({server.samples:,} samples of {breakdown.event}, "
        f"{breakdown.lost} lost; {server.us_per_token.value:.3g} us a token)"
    )
    click.echo("  lever                    of kernel time      us/token    of a token at most")
    for part in server.levers:
        _, most = share_of_token(part, found.work)
        click.echo(f"  {part.name:<22}   {_columns(part)}    {_percent(most):>8}")
        if part.name in levers():
            click.echo(f"      {levers()[part.name].acts}")
    click.echo("  by call, softirq, fault")
    for part in server.contexts[:_TOP]:
        click.echo(f"  {part.name:<22}   {_columns(part)}")
    click.echo("  by function")
    for part in server.functions[:_TOP]:
        click.echo(f"  {part.name:<22.40}   {_columns(part)}")
    for name, kernel in (
        ("load driver", breakdown.client),
        ("softirqs elsewhere", breakdown.elsewhere),
    ):
        if kernel is not None:
            first = ", ".join(
                f"{part.name} {_percent(part.share.value)}" for part in kernel.contexts[:3]
            )
            click.echo(f"  {name}: {kernel.us_per_token.value:.3g} us a token ({first})")


def _columns(part: Part) -> str:
    half = part.share.high - part.share.value
    share = f"{part.share.value * 100:.1f} ± {half * 100:.1f} %"
    return f"{share:>16}    {part.us_per_token.value:>10.3g}"


def _show_traced(traced: Traced) -> None:
    click.echo(
        f"  by tracepoints: calls {traced.cpu_us:.3g} us a token, "
        f"{sum(row.calls for row in traced.calls):.3g} of them ({traced.untimed} in all not timed)"
    )
    for row in traced.calls[:_TOP]:
        click.echo(f"  {row.name:<22} {row.cpu_us:>8.3g} us    {row.calls:>8.3g} calls")
    if traced.wait_p50_us is not None:
        click.echo(
            f"  waits for a CPU: {traced.waits:.3g} a token, {traced.wait_us:.3g} us; one takes up "
            f"to {traced.wait_p50_us:.3g} us (median), {traced.wait_p99_us:.3g} us (p99)"
        )
    softirqs = ", ".join(f"{name} {us:.3g}" for name, us in list(traced.softirq_us.items())[:4])
    click.echo(f"  softirqs of the machine, us a token: {softirqs or 'none'}")


def _change(mean: Mean) -> str:
    return f"{mean.value * 100:+.1f} % ({mean.low * 100:+.1f} to {mean.high * 100:+.1f})"


_ROWS = (
    ("kernel_us", "kernel CPU per token, us"),
    ("user_us", "user CPU per token, us"),
    ("wait_us", "waiting for a CPU per token, us"),
    ("machine_softirq_us", "softirq per token (machine), us"),
    ("wakeups", "wakeups per token"),
    ("involuntary_switches", "involuntary switches per token"),
)


def _notes(profile: ServingProfile) -> list[str]:
    notes = [
        "stages of the server are added as if they never overlapped: the bound may be too high",
        "page sizes, NUMA placement and caches act on user time, and are not in the bound",
    ]
    if profile.accounting.interrupts_apart is not True:
        notes.append(
            "softirqs are in the bound once more where they hit the server's own threads: this "
            "kernel does not keep them apart"
        )
    return notes


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"
