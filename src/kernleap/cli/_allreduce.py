"""Options of the suite `allreduce`: how many ranks, how large a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from kernleap.workload.allreduce.region import AllreduceRegion

NAMES = ("ranks", "size_bytes")
"""As click names their parameters."""


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options."""
    for option in (
        click.option("--bytes", "size_bytes", type=int, default=65_536, show_default=True,
                     help="allreduce: size of the tensor."),
        click.option("--ranks", type=int, default=2, show_default=True,
                     help="allreduce: processes, one GPU each where there are so many."),
    ):  # fmt: skip
        function = option(function)
    return function


def region(ctx: click.Context) -> AllreduceRegion:
    """What the options describe.

    Raises:
        UsageError: they are out of range, or were given for nothing.
    """
    from kernleap.workload.allreduce.region import PROGRAM, AllreduceRegion, usual_backend

    given = [n for n in NAMES if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given and PROGRAM not in (ctx.params["suite"] or "").split(","):
        raise click.UsageError("--ranks and --bytes are for --suite allreduce", ctx)
    ranks = ctx.params["ranks"]
    return AllreduceRegion(ranks, ctx.params["size_bytes"], backend=usual_backend(ranks))
