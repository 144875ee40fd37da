"""`kernleap bound`: how much could any kernel give the serving on this machine?"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli import _options

if TYPE_CHECKING:
    from kernleap.judge.bound import Bound
    from kernleap.model.serving import ServingProfile
    from kernleap.stats.mean import Mean
    from kernleap.workload.serving.engines import EngineFacts

SCHEMA = 1


@click.command(name="bound")
@click.option(
    "--engine",
    default="llama.cpp",
    show_default=True,
    help="What serves: llama.cpp[:MODEL], vllm[:URL], tgi:URL, openai:URL, command:LINE.",
)
@click.option("--streams", type=click.IntRange(1, 1024), default=8, show_default=True,
              help="Requests in flight.")  # fmt: skip
@click.option("--prompt", type=click.IntRange(1, 1 << 16), default=32, show_default=True,
              help="Tokens of a prompt, about.")  # fmt: skip
@click.option("--output", type=click.IntRange(1, 1 << 16), default=128, show_default=True,
              help="Tokens of an answer.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True,
              help="Threads that compute, of an engine that is started.")  # fmt: skip
@click.option("--windows", type=click.IntRange(3, 1000), default=6, show_default=True,
              help="Windows to measure.")  # fmt: skip
@click.option("--window-s", type=click.FloatRange(0.5, 600), default=3.0, show_default=True,
              help="Length of a window, in seconds.")  # fmt: skip
@click.option("--warmup-s", type=click.FloatRange(0, 600), default=2.0, show_default=True,
              help="Load before the first window, in seconds.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_options.offline
@_options.quiet
def command(
    *,
    engine: str,
    streams: int,
    prompt: int,
    output: int,
    threads: int,
    windows: int,
    window_s: float,
    warmup_s: float,
    as_json: bool,
    offline: bool,
    quiet: bool,
) -> None:
    """How much could any kernel give the serving on this machine?

    Puts an engine under load and accounts for its processes: the share of a token's time spent
    in the kernel or waiting for a CPU bounds what any other kernel could save.

    \b
    Example:
      kernleap bound --engine llama.cpp:smollm2 --streams 4
      kernleap bound --engine vllm:http://127.0.0.1:8000 --json
    """
    from kernleap.cli._running import stopping
    from kernleap.judge.bound import bound_of
    from kernleap.kernel import is_offline
    from kernleap.machine import Interrupted
    from kernleap.probe.serving_windows import measure_windows
    from kernleap.workload.serving.engines import ServeOptions, parse_engine, serve
    from kernleap.workload.serving.load import Closed, Fixed, LoadSpec

    ref = parse_engine(engine)
    load = LoadSpec(
        Closed(streams), Fixed(prompt), Fixed(output), duration_s=window_s, warmup_s=warmup_s
    )

    def tell(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    with tempfile.TemporaryDirectory(prefix="kernleap-bound-") as scratch:
        tell(f"starting {ref}")
        # A word may be several tokens, with vocabularies of letters many.
        options = ServeOptions(
            streams=streams, threads=threads, workdir=Path(scratch),
            context=max(1024, 8 * prompt + output), offline=is_offline(offline),
        )  # fmt: skip
        try:
            with serve(ref, options) as serving, stopping() as stop:
                tell(f"measuring {windows} windows of {window_s:g} s, {streams} streams")
                profile = measure_windows(
                    serving, load, Path(scratch), streams=streams, windows=windows,
                    window_s=window_s, stop=stop,
                    progress=lambda done: tell(f"  window {done} of {windows}") if done else None,
                )  # fmt: skip
                facts = serving.facts
        except Interrupted:
            raise KeyboardInterrupt from None
    found = bound_of(profile)
    if as_json:
        shape = {"streams": streams, "prompt_tokens": prompt, "output_tokens": output,
                 "window_s": window_s, "warmup_s": warmup_s}  # fmt: skip
        click.echo(json.dumps(_document(facts, shape, profile, found), indent=2, sort_keys=True))
        return
    _print(facts, profile, found)


def _document(
    facts: EngineFacts, load: dict[str, Any], profile: ServingProfile, found: Bound
) -> dict[str, Any]:
    """Everything, as JSON: times in the units of the names, shares as ratios."""
    measured = asdict(profile)
    measured.pop("windows")
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
        "warnings": list(found.warnings),
        "windows": [asdict(window) for window in profile.windows],
    }


def _mean(mean: Mean) -> dict[str, float]:
    return {"mean": mean.value, "low": mean.low, "high": mean.high, "spread": mean.spread}


def _print(facts: EngineFacts, profile: ServingProfile, found: Bound) -> None:
    model = facts.model
    what = f"{model.name} {model.quantisation}" if model else facts.model_name
    echo = click.echo
    echo(f"{facts.engine} {facts.version}, {what}, {profile.streams} streams")
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
    echo()
    for warning in found.warnings:
        echo(f"  warning: {warning}")
    for note in _notes(profile):
        echo(f"  note: {note}")


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
