"""`kernleap report`: judge a stored run again; boots nothing, needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kernleap.cli import _options
from kernleap.cli._judging import Outputs, judge_and_report


@click.command(name="report")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@_options.policy_file
@_options.fleet_file
@_options.outputs
def command(
    runs: tuple[str, ...], policy_path: Path | None, fleet_path: Path | None, **options: Any
) -> int:
    """Judge RUN again, perhaps by another policy, and show the report.

    RUN is an id, the beginning of one, a path, or `latest` (the default). Several runs of the
    same arms (counted in the lab, timed on hosts) give one report. The exit code is the
    verdict's.

    \b
    Examples:
      kernleap report
      kernleap report latest --policy gate.toml --json -
      kernleap report 20261123-0512 20261123-0640 --fleet examples/fleet.toml
      kernleap report latest --markdown comment.md --sarif kernel.sarif
    """
    from kernleap.cost.fleet_file import load as load_fleet
    from kernleap.judge.policy import load
    from kernleap.store import RunStore

    outputs = Outputs.of(options)
    outputs.check()
    policy = load(policy_path)
    fleet = load_fleet(fleet_path) if fleet_path else None
    stores = [RunStore.open(run) for run in runs or ("latest",)]
    return judge_and_report(stores, policy, outputs, fleet)
