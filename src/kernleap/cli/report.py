"""`kernleap report`: judge a stored run again; boots nothing, needs no network."""

from __future__ import annotations

from pathlib import Path

import click

from kernleap.cli import _options
from kernleap.cli._judging import Outputs, judge_and_report


@click.command(name="report")
@click.argument("run", default="latest")
@_options.policy_file
@_options.json_file
@_options.html_file
@_options.everything
def command(
    run: str,
    policy_path: Path | None,
    json_path: Path | None,
    html_path: Path | None,
    everything: bool,
) -> int:
    """Judge RUN again, perhaps by another policy, and show the report.

    RUN is an id, the beginning of one, a path, or `latest`. The exit code is the verdict's.

    \b
    Examples:
      kernleap report
      kernleap report latest --policy gate.toml --json -
    """
    from kernleap.judge.policy import load
    from kernleap.store import RunStore

    outputs = Outputs(json_path, html_path, everything)
    outputs.check()
    policy = load(policy_path)
    return judge_and_report(RunStore.open(run), policy, outputs)
