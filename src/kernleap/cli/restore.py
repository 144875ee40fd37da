"""`kernleap restore`: put back the knobs that a killed run left set."""

from __future__ import annotations

import json

import click

from kernleap.cli import _options


@click.command(name="restore")
@_options.as_json
def command(*, as_json: bool) -> None:
    """Put back the knobs that a killed run left set on this machine.

    `compare --machine here` puts every knob back when it ends, on errors and signals too. Only
    after SIGKILL does something remain; the next such run puts it back, or this command does.

    \b
    Example:
      kernleap restore
    """
    from kernleap.machine.knob_host import recover

    lines = recover()
    if as_json:
        click.echo(json.dumps({"schema": 1, "knobs": list(lines)}))
        return
    for line in lines or ("nothing to put back",):
        click.echo(line)
