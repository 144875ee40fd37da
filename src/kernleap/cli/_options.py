"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)

json_file = click.option(
    "--json", "json_path", type=_FILE, help="Also write the report as JSON (- for stdout)."
)
html_file = click.option(
    "--html", "html_path", type=_FILE, help="Also write the HTML report there (- for stdout)."
)
policy_file = click.option(
    "--policy",
    "policy_path",
    type=click.Path(path_type=Path),
    help="Judge by this TOML file instead of the built-in policy.",
)
everything = click.option(
    "--all", "everything", is_flag=True, help="List every metric, unchanged ones too."
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
