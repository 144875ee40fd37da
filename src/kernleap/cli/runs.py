"""`kernleap runs`: what has been measured on this machine."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli import _options
from kernleap.model.errors import KernleapError
from kernleap.model.trial import TrialStatus

if TYPE_CHECKING:
    from rich.console import Console

    from kernleap.store import RunStore

_WIDTH_OF_A_PIPE = 160


@click.group(name="runs")
def command() -> None:
    """List, show and remove runs.

    \b
    Example:
      kernleap runs list
      kernleap runs show latest
    """


@command.command(name="list")
@_options.as_json
def list_command(as_json: bool) -> None:
    """All runs, oldest first.

    \b
    Example:
      kernleap runs list --json
    """
    from kernleap.store import RunStore

    rows = [_overview(run) for run in RunStore.list()]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo("There are no runs yet. Make one: kernleap compare debian:7.0 debian:7.2")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "arms", "boots", "verdict"):
        table.add_column(column, no_wrap=column == "run")
    for row in rows:
        boots = f"{row['ok']}/{row['planned']}"
        if row["failed"]:
            boots += f", {row['failed']} failed"
        verdict = row["problem"] or ", ".join(row["verdicts"]) or "not judged"
        arms = " · ".join(row["arms"])
        table.add_row(*(Text(cell) for cell in (row["run"], arms, boots, verdict)))
    _console().print(table)


@command.command()
@click.argument("run", default="latest")
@_options.as_json
@click.option("--all", "everything", is_flag=True, help="Every metric, not only the primary ones.")
def show(run: str, as_json: bool, everything: bool) -> None:
    """Inputs, trials and medians of RUN, without judging it.

    \b
    Example:
      kernleap runs show latest
    """
    from kernleap.store import RunStore
    from kernleap.store.query import summary

    store = RunStore.open(run)
    headers = store.headers()
    metrics = [
        row for row in summary(store) if everything or row.metric.endswith("/kernel_instructions")
    ]
    trials = [
        {
            "id": trial.id,
            "arm": trial.arm,
            "block": trial.block,
            "seed": trial.seed,
            "status": headers[trial.id].status if trial.id in headers else "not run",
            "reason": headers[trial.id].reason if trial.id in headers else "",
            "attempt": headers[trial.id].attempt if trial.id in headers else 0,
            "wall_seconds": headers[trial.id].wall_seconds if trial.id in headers else 0.0,
            "cpu_seconds": headers[trial.id].cpu_seconds if trial.id in headers else 0.0,
        }
        for trial in store.plan.trials
    ]
    if as_json:
        from kernleap.store.codec import encode

        document = {"plan": encode(store.plan), "trials": trials, "metrics": encode(metrics)}
        click.echo(json.dumps(document, indent=1))
        return
    _show(store, trials, metrics)


@command.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(runs: tuple[str, ...], yes: bool) -> None:
    """Remove runs, and everything measured in them, for good.

    \b
    Example:
      kernleap runs rm 20260102-030405-a1b2c3
    """
    from kernleap.store import RunStore

    for store in [RunStore.open(run) for run in runs]:
        stored = len(store.finished())
        if not yes:
            click.confirm(f"Remove {store.plan.id} with {stored} trials?", abort=True, err=True)
        store.remove()
        click.echo(f"removed {store.plan.id}", err=True)


def _overview(run: str) -> dict[str, Any]:
    from kernleap.store import RunStore

    row: dict[str, Any] = {
        "run": run, "created": "", "path": "", "arms": [], "planned": 0, "ok": 0, "failed": 0,
        "verdicts": [], "problem": "",
    }  # fmt: skip
    try:
        store = RunStore.open(run)
        counts = Counter(store.finished().values())
    except KernleapError as error:  # one damaged run must not hide the others
        return row | {"problem": f"{error.what}: {error.cause or error.where}"}
    return row | {
        "created": store.plan.created,
        "path": str(store.path),
        "arms": [arm.name for arm in store.plan.arms],
        "planned": len(store.plan.trials),
        "ok": counts[TrialStatus.OK],
        "failed": counts.total() - counts[TrialStatus.OK],
        "verdicts": _verdicts(store),
    }


def _verdicts(store: RunStore) -> list[str]:
    """Decisions of the latest judgement, as its report has them."""
    try:
        document = json.loads((store.path / "report.json").read_bytes())
        return [str(verdict["decision"]) for verdict in document["verdict"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _show(store: RunStore, trials: list[dict[str, Any]], metrics: list[Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    plan = store.plan
    console = _console()
    lines = [
        f"run {plan.id}, made {plan.created} with kernleap {plan.kernleap_version}",
        f"  {store.path}",
        f"  {' '.join(plan.command)}",
        f"  seed {plan.seed}",
    ]
    for part in plan.parts:
        timed = part.machine.mode == "timed"
        lines.append(
            f"  suite {part.label}, {part.boots} {plan.trial_word}s per arm: {part.machine.kind}, "
            f"{part.emulator_version}, CPU {part.machine.cpu}"
            f"{'' if timed else f', guest {part.guest_sha256[:12]}'}"
        )
    roles = {arm.name: arm.role for arm in plan.arms}
    for one in plan.inputs:
        kernel = f"{one.release}, sha256 {one.kernel_sha256[:12]}"
        lines.append(f"  {roles.get(one.arm, 'arm')} {one.key}: {kernel}")
    for line in lines:
        console.print(Text(line))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("trial", "arm", "status", "attempt", "wall", "CPU"):
        table.add_column(name, justify="right" if name in ("attempt", "wall", "CPU") else "left")
    for row in trials:
        status = f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])
        cells = (
            row["id"], row["arm"], status, str(row["attempt"] or ""),
            f"{row['wall_seconds']:.1f} s", f"{row['cpu_seconds']:.1f} s",
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    console.print()
    console.print(table)
    if not metrics:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "arm", "boots", "lowest", "median", "highest"):
        table.add_column(name, justify="left" if name in ("metric", "arm") else "right")
    for one in metrics:
        numbers = (one.minimum, one.median, one.maximum)
        cells = (one.metric, one.arm, str(one.boots), *(f"{number:g}" for number in numbers))
        table.add_row(*(Text(cell) for cell in cells))
    console.print()
    console.print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE)
