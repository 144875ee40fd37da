"""`kernleap driver`: what the load driver itself can do, and costs, on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from kernleap.cli import _options

_MERGED = 16


@click.group(name="driver")
def command() -> None:
    """Look at the load driver.

    \b
    Example:
      kernleap driver selftest
    """


@command.command()
@click.option("--streams", type=click.IntRange(1, 4096), multiple=True, default=(1, 8, 64),
              show_default=True, help="Requests in flight; may be repeated.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.2, 600), default=2.0, show_default=True,
              help="Length of each measurement.")  # fmt: skip
@_options.as_json
def selftest(*, streams: tuple[int, ...], seconds: float, as_json: bool) -> None:
    """The ceiling of the load driver: what it gets out of a server that does nothing.

    Prints tokens/s through both and the driver's own CPU time per token event, so that it can be
    ruled out as the bottleneck of a measurement.

    \b
    Example:
      kernleap driver selftest --streams 32 --json
    """
    from kernleap.workload.serving.ceiling import ceiling
    from kernleap.workload.serving.result import CPU_BOUND, LATE_NS

    found = [
        ceiling(streams=count, duration_s=seconds, merge=merge)
        for merge in (1, _MERGED)
        for count in streams
    ]
    if as_json:
        rows = [{**asdict(c), "driver_tokens_per_second": c.driver_tokens_per_second}
                for c in found]  # fmt: skip
        limits = {"cpu_ratio": CPU_BOUND, "schedule_delay_p99_ms": LATE_NS / 1e6}
        click.echo(json.dumps({"schema": 1, "limits": limits, "ceilings": rows}, indent=2))
        return
    click.echo("streams  tokens a write     tokens/s   driver us/event   of a CPU   would limit at")
    for each in found:
        click.echo(
            f"{each.streams:>7}  {each.merged:>14}  {each.tokens_per_second:>11,.0f}  "
            f"{each.cpu_us_per_event:>16.2f}  {each.cpu_ratio:>8.0%}  "
            f"{each.driver_tokens_per_second:>11,.0f}/s"
        )
    click.echo(
        "The null server and the driver share this machine's cores: tokens/s are of both. A run\n"
        f"is said to be limited by its driver when that used more than {CPU_BOUND:.0%} of a core,\n"
        f"or sent 1 % of its requests more than {LATE_NS / 1e6:g} ms late."
    )
