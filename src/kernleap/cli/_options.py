"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kernleap.cli._formats import FORMATS
from kernleap.model.kernel import Arch

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


def outputs(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where the report goes; `kernleap.cli._judging.Outputs.of` reads them."""
    for form in reversed(FORMATS):
        function = click.option(f"--{form.name}", f"{form.name}_path", type=_FILE, help=form.help)(
            function
        )
    everything = click.option(
        "--all", "everything", is_flag=True, help="List every metric, unchanged ones too."
    )
    return everything(function)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
as_markdown = click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
page_file = click.option(
    "--html", "html_path", type=_FILE, help="Also write a page there (- for stdout)."
)
timed_metric = click.option(
    "--metric",
    metavar="NAME",
    help="The timed throughput to go by, where there are several; a pattern.",
)
arch = click.option(
    "--arch",
    type=click.Choice([arch.value for arch in Arch]),
    default=Arch.AMD64.value,
    show_default=True,
    help="Architecture of the kernels.",
)
policy_file = click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    help="Judge by this TOML file instead of the built-in policy.",
)
fleet_file = click.option(
    "--fleet",
    "fleet_path",
    type=click.Path(path_type=Path),
    help="A fleet (docs/cost.md): prices what was timed, for the report and the policy.",
)
jobs = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Boots at once; the number of usable CPUs if not given.",
)
offline = click.option(
    "--offline", is_flag=True, help="Stay off the network; use what is cached (KERNLEAP_OFFLINE=1)."
)
quiet = click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
