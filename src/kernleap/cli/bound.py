"""`kernleap bound`: how much could any kernel give the serving on this machine?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernleap.cli import _options

if TYPE_CHECKING:
    from kernleap.workload.serving.load import Arrivals


@click.command(name="bound")
@click.option(
    "--engine",
    default="llama.cpp",
    show_default=True,
    help="What serves: llama.cpp[:MODEL], vllm[:URL], tgi:URL, openai:URL, command:LINE.",
)
@click.option("--streams", type=click.IntRange(1, 1024), default=8, show_default=True,
              help="Requests in flight; with --rate, those that an engine that is started takes at "
              "once.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(1e-3, 1e6),
              help="Open loop: so many requests a second, at times of their own.")  # fmt: skip
@click.option("--arrivals", type=click.Choice(["poisson", "constant", "bursty"]),
              help="How they come, with --rate; poisson if not given.")  # fmt: skip
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
@click.option("--probe", type=click.Choice(["auto", "none", "perf", "bpf"]), default="auto",
              show_default=True, help="Where kernel time goes, by perf, by tracepoints (bpftrace), "
              "or by both as far as they are allowed; its price is measured.")  # fmt: skip
@_options.as_json
@_options.offline
@_options.quiet
def command(
    *,
    engine: str,
    streams: int,
    rate: float | None,
    arrivals: str | None,
    prompt: int,
    output: int,
    threads: int,
    windows: int,
    window_s: float,
    warmup_s: float,
    probe: str,
    as_json: bool,
    offline: bool,
    quiet: bool,
) -> None:
    """How much could any kernel give the serving on this machine?

    Puts an engine under load and accounts for its processes: the share of a token's time spent
    in the kernel or waiting for a CPU bounds what any other kernel could save. Beside it stands
    where that kernel time goes, and which levers act on it.

    \b
    Example:
      kernleap bound --engine llama.cpp:smollm2 --streams 4
      kernleap bound --engine vllm:http://127.0.0.1:8000 --json
      kernleap bound --rate 20 --arrivals poisson
    """
    from kernleap.workload.serving.engines import ServeOptions, parse_engine, serve
    from kernleap.workload.serving.load import Fixed, LoadSpec

    ref = parse_engine(engine)
    load = LoadSpec(
        _arrivals(streams, rate, arrivals), Fixed(prompt), Fixed(output), duration_s=window_s,
        warmup_s=warmup_s,
    )  # fmt: skip
    from kernleap.cli._bound_probes import probing
    from kernleap.cli._bound_text import document, show
    from kernleap.cli._running import stopping
    from kernleap.judge.bound import bound_of
    from kernleap.kernel import is_offline
    from kernleap.machine import Interrupted
    from kernleap.probe.serving_windows import measure_windows

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
                with probing(probe, Path(scratch), serving.tree_root) as probes:
                    tell(
                        f"measuring {windows} rounds of {1 + len(probes.all)} windows of "
                        f"{window_s:g} s, {_of_load(streams, rate)}"
                    )
                    profile = measure_windows(
                        serving, load, Path(scratch), windows=windows, window_s=window_s,
                        probes=probes.all, stop=stop,
                        progress=lambda done: tell(f"  round {done} of {windows}"),
                    )  # fmt: skip
                facts = serving.facts
            seen = probes.seen(profile)
        except Interrupted:
            raise KeyboardInterrupt from None
    found = bound_of(profile)
    if as_json:
        shape = {"streams": streams, "prompt_tokens": prompt, "output_tokens": output,
                 "rate": rate, "arrivals": (arrivals or "poisson") if rate else "closed",
                 "window_s": window_s, "warmup_s": warmup_s}  # fmt: skip
        click.echo(json.dumps(document(facts, shape, profile, found, seen), indent=2,
                              sort_keys=True))  # fmt: skip
        return
    show(facts, profile, found, seen)


def _arrivals(streams: int, rate: float | None, arrivals: str | None) -> Arrivals:
    from kernleap.model.errors import UsageError
    from kernleap.workload.serving.load import Bursty, Closed, Constant, Poisson

    if rate is None:
        if arrivals is not None:
            raise UsageError("--arrivals needs --rate: a closed loop has no arrivals of its own")
        return Closed(streams)
    forms: dict[str, type[Poisson | Constant | Bursty]] = {
        "poisson": Poisson,
        "constant": Constant,
        "bursty": Bursty,
    }
    return forms[arrivals or "poisson"](rate)


def _of_load(streams: int, rate: float | None) -> str:
    return f"{streams} streams" if rate is None else f"{rate:g} requests a second"
