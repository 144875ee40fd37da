"""`kernleap cost`: what tokens cost on a fleet, and what a measured effect is worth there."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kernleap.cli import _options
from kernleap.cli._judging import Outputs, judged
from kernleap.cli._sections import print_sections

_FILE = click.Path(path_type=Path)


@click.command(name="cost")
@click.argument("fleet", type=_FILE)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@_options.policy_file
@_options.timed_metric
@click.option(
    "--bound",
    "bound_path",
    type=_FILE,
    metavar="FILE",
    help="What `kernleap bound --json` printed for your workload: a ceiling for counted evidence.",
)
@click.option(
    "--vary",
    type=click.FloatRange(0.1, 90),
    default=20.0,
    show_default=True,
    help="Per cent by which inputs without a range of their own are moved.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the random draws.")
@_options.as_json
@_options.as_markdown
@_options.page_file
def command(
    *,
    fleet: Path,
    runs: tuple[str, ...],
    policy_path: Path | None,
    metric: str | None,
    bound_path: Path | None,
    vary: float,
    seed: int,
    as_json: bool,
    as_markdown: bool,
    html_path: Path | None,
) -> None:
    """What a million tokens cost on FLEET, and what the kernels of RUN would change.

    FLEET is a TOML file (docs/cost.md; examples/fleet.toml is one). Without RUN it is a
    calculator of what the fleet costs; several runs of the same arms are judged as one. Only
    effects timed on a real machine get a price; counts give at most a bound, with --bound.

    \b
    Examples:
      kernleap cost examples/fleet.toml
      kernleap cost examples/fleet.toml latest --json
    """
    from kernleap.cost import ceiling
    from kernleap.cost.assemble import cost
    from kernleap.cost.effect import evidence
    from kernleap.cost.fleet_file import load
    from kernleap.report import cost as view
    from kernleap.report.cost_json import document

    Outputs({"html": html_path} if html_path else {}).check()
    described = load(fleet)
    most = ceiling.load(bound_path) if bound_path else None
    judgement = judged(runs, policy_path) if runs else None
    result = cost(
        described,
        evidence(judgement, metric) if judgement else (),
        run=judgement.plan.id if judgement else "",
        baseline=judgement.plan.baseline.name if judgement else "",
        ceiling=most,
        vary=vary / 100,
        seed=seed,
    )
    if as_json:
        click.echo(json.dumps(document(result), indent=1))
        return
    print_sections(
        view.headline(result), "cost", view.sections(result), as_markdown=as_markdown,
        html=html_path,
    )  # fmt: skip
