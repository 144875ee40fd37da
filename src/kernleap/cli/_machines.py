"""Options of the machines that a run uses: their kind, architectures and processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch
from kernleap.model.machine import MachineSpec, usual_machine

_DEFAULT = MachineSpec()
_SHAPE = ("arch", "profile", "cpu")


def _arches(ctx: click.Context, _: click.Parameter, value: str) -> tuple[Arch, ...]:
    known = {arch.value: arch for arch in Arch}
    names = list(dict.fromkeys(value.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", ctx)
    return tuple(known[name] for name in names)


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--machine`, `--profile`, `--cpu` and `--arch`."""
    for option in (
        click.option(
            "--arch",
            metavar="NAME[,NAME]...",
            default=_DEFAULT.arch.value,
            show_default=True,
            callback=_arches,
            help="Architectures of kernels and emulated machines: amd64, arm64.",
        ),
        click.option(
            "--profile",
            metavar="NAME|FILE",
            help="Shape of the machine for placement: kernleap profile list.  [default: two-llc]",
        ),
        click.option("--cpu", help="CPU model of the emulator.  [default: the architecture's]"),
        click.option(
            "--machine",
            metavar="KIND",
            default=_DEFAULT.kind,
            show_default=True,
            help="Where the kernels run.",
        ),
    ):
        function = option(function)
    return function


def asked(ctx: click.Context) -> tuple[MachineSpec, ...]:
    """The machines that the options ask for, one for each architecture.

    Raises:
        click.UsageError: one processor on several architectures.
        UsageError: there is no such kind or profile, or nothing of the kind can be chosen.
    """
    from kernleap.machine import kind_of
    from kernleap.machine.profiles import load

    kind, cpu, arches = (ctx.params[name] for name in ("machine", "cpu", "arch"))
    given = [n for n in _SHAPE if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given and not kind_of(kind).emulated:
        raise UsageError(
            "the running machine cannot be another one than it is",
            where=" and ".join(f"--{name}" for name in given),
            cause="architecture, processor and shape are chosen for emulated machines",
            next_step="leave that out, or leave --machine out to boot the kernels in the lab",
        )
    if cpu and len(arches) > 1:
        raise click.UsageError("--cpu names a processor of one architecture; give one --arch", ctx)
    shape = load(ctx.params["profile"]) if ctx.params["profile"] else None
    usual = (replace(usual_machine(arch), kind=kind, topology=shape) for arch in arches)
    return tuple(replace(spec, cpu=cpu) if cpu else spec for spec in usual)
