"""`kernleap tradeoff`: any number of kernels and configurations side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kernleap.cli import _options
from kernleap.cli._judging import Outputs
from kernleap.cli._sections import print_sections


@click.command(name="tradeoff")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="A fleet (docs/cost.md): adds the bill, derived energy and hours.",
)
@_options.policy_file
@_options.timed_metric
@_options.as_json
@_options.as_markdown
@_options.page_file
def command(
    *,
    runs: tuple[str, ...],
    fleet: Path | None,
    policy_path: Path | None,
    metric: str | None,
    as_json: bool,
    as_markdown: bool,
    html_path: Path | None,
) -> None:
    """Gain, tail, bill, energy, risk and effort of every kernel of RUN..., and what beats what.

    Runs with the same baseline share a table. A row is marked better only where that is proved:
    intervals apart, nothing unknown, nothing worse by more than the policy's guard margin.

    \b
    Example:
      kernleap tradeoff latest --fleet examples/fleet.toml
      kernleap tradeoff 20261123-0512 20261123-0640 --json
    """
    from kernleap.cli._risk import risks
    from kernleap.cost.fleet_file import load as load_fleet
    from kernleap.cost.tradeoff import tradeoff
    from kernleap.judge import judge
    from kernleap.judge.policy import load
    from kernleap.report import tradeoff as view
    from kernleap.store import RunStore

    Outputs({"html": html_path} if html_path else {}).check()
    policy = load(policy_path)
    described = load_fleet(fleet) if fleet else None
    loaded = [RunStore.open(run).load() for run in dict.fromkeys(runs)]
    slack = policy.guard_margin
    tables = tradeoff(
        [(judge(run, policy), risks(run)) for run in loaded],
        fleet=described, slack=slack, metric=metric,
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(view.document(tables, described, slack), indent=1))
        return
    title = ", ".join(run.plan.id for run in loaded)
    sections = view.sections(tables, described, slack)
    print_sections(title, "trade-off", sections, as_markdown=as_markdown, html=html_path)
