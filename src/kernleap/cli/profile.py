"""`kernleap profile`: the machine shapes that placement is looked at on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli import _options
from kernleap.model.errors import UsageError

if TYPE_CHECKING:
    from kernleap.model.topology import Topology


@click.group(name="profile")
def command() -> None:
    """List, show and capture machine shapes for `compare --suite placement`.

    \b
    Example:
      kernleap profile list
      kernleap profile capture --toml our-host.toml
      kernleap compare debian:7.1 debian:7.2 --suite placement \\
          --profile our-host.toml
    """


@command.command(name="list")
@_options.as_json
def list_command(as_json: bool) -> None:
    """The profiles that come with kernleap.

    \b
    Example:
      kernleap profile list --json
    """
    from kernleap.machine import profiles

    shapes = [profiles.load(name) for name in profiles.names()]
    if as_json:
        click.echo(json.dumps({"profiles": [_data(shape) for shape in shapes]}, indent=1))
        return
    width = max(len(shape.name) for shape in shapes)
    for shape in shapes:
        default = "  (default)" if shape.name == profiles.DEFAULT else ""
        click.echo(f"{shape.name:{width}}  {shape.arch}  {shape.description}{default}")


@command.command()
@click.argument("name", metavar="NAME|FILE")
@click.option("--toml", is_flag=True, help="Print the profile's own file.")
@_options.as_json
def show(name: str, toml: bool, as_json: bool) -> None:
    """One profile: what the emulator is told, and what the guest's kernel must then see.

    \b
    Example:
      kernleap profile show epyc-like
    """
    from kernleap.machine import profiles

    shape = profiles.load(name)
    if toml:
        click.echo(profiles.to_toml(shape), nl=False)
    elif as_json:
        click.echo(json.dumps(_data(shape), indent=1))
    else:
        _print(shape)


@command.command()
@click.option(
    "--toml",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the profile to this file, for --profile FILE.",
)
@_options.as_json
def capture(path: Path | None, as_json: bool) -> None:
    """Read this machine's sockets, caches, SMT, clusters and NUMA nodes, and find the nearest
    shape that the lab can emulate.

    \b
    Example:
      kernleap profile capture --toml our-host.toml
    """
    from kernleap.machine import profiles
    from kernleap.machine.survey import nearest, survey

    seen = survey()
    shape = nearest(seen, path.stem if path else "captured")
    if path:
        try:
            path.write_text(profiles.to_toml(shape), "utf-8")
        except OSError as error:
            raise UsageError(
                "cannot write the profile", where=str(path), cause=error.strerror or str(error)
            ) from error
    if as_json:
        click.echo(json.dumps({"host": asdict(seen), "profile": _data(shape)}, indent=1))
        return
    click.echo(f"host: {seen.model}, {seen.arch}")
    for what, lists in (
        ("sockets", seen.sockets),
        (f"last-level caches ({seen.llc_size or 'size unknown'})", seen.llcs),
        ("SMT siblings", seen.siblings),
        ("clusters", seen.clusters),
        ("NUMA nodes", seen.nodes),
    ):
        click.echo(f"  {what}: {' | '.join(lists) or 'not described'}")
    click.echo("nearest shape in the lab:")
    _print(shape)
    if path:
        click.echo(f"written to {path}")


def _data(shape: Topology) -> dict[str, Any]:
    return {**asdict(shape), "cpus": shape.cpus}


def _print(shape: Topology) -> None:
    truth, told = shape.truth, shape.emulator
    aware = "on" if truth.cache_aware else "not on"
    rows = (
        ("", shape.description),
        ("stands for", shape.stands_for),
        ("emulated", f"{told.cpu}, {shape.arch}, {shape.memory_mib} MiB"),
        ("CPUs", f"{shape.cpus}: {told.sockets} sockets x {told.dies} dies x {told.clusters} "
                 f"clusters x {told.cores} cores x {told.threads} threads"),
        ("last-level caches", " | ".join(truth.llcs)),
        ("SMT siblings", " | ".join(truth.siblings) or "none"),
        ("NUMA nodes", " | ".join(truth.nodes)),
        ("domains", " ".join(truth.domains)),
        ("cache-aware scheduling", f"{aware}, in kernels that have it"),
    )  # fmt: skip
    click.echo(shape.name)
    for what, value in rows:
        if value:
            click.echo(f"  {what}: {value}" if what else f"  {value}")
    for text in shape.not_shown:
        click.echo(f"  not shown: {text}")
