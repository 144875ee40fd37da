"""`kernleap reproduce`: run the same trials on the same bytes again; is every count the same?"""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernleap import __version__
from kernleap.cli import _options
from kernleap.cli._progress import Show, showing
from kernleap.model.errors import Exit, InfrastructureError, UsageError

if TYPE_CHECKING:
    from kernleap.cli._counts import Counts, Differences
    from kernleap.model.run import RunPlan
    from kernleap.store import RunStore

_SHOWN = 12
_STDOUT = Path("-")


@click.command(name="reproduce")
@click.argument("run", metavar="RUN|REPORT.json")
@_options.jobs
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Also write what differs as JSON (- for stdout).",
)
@_options.offline
@_options.quiet
def command(run: str, jobs: int | None, json_path: Path | None, offline: bool, quiet: bool) -> int:
    """Say whether every count of RUN comes out the same here and now.

    RUN is a run of this machine (id, beginning, path, `latest`) or the JSON report of somebody
    else's. The kernels are had by digest; the trials run again, with their seeds and in their
    order, into a run of their own. Exit code 0: every count is identical; 21: something differs.

    \b
    Example:
      kernleap reproduce latest
      kernleap reproduce report.json --jobs 2
    """
    from kernleap.cli._counts import compare_counts, counts_of_run

    plan, before = _original(run)
    if not before:
        raise UsageError(
            "There is nothing to reproduce", where=run, cause="no trial of it ended well"
        )
    if any(part.machine.mode == "timed" for part in plan.parts):
        raise UsageError(
            "Times do not come out the same again",
            where=run,
            cause="this run was timed on a real machine; only counts can be reproduced",
            next_step=f"run it again: {shlex.join(plan.command)}",
        )
    with showing(quiet) as show:
        store = _run_again(plan, before, jobs, offline, show)
    found = compare_counts(before, counts_of_run(store.load()))
    inputs = differing_inputs(plan, store.plan)
    if json_path is not None:
        _write(json_path, plan, store, inputs, found)
    _print(plan, store, inputs, found, err=json_path == _STDOUT)
    if inputs or found.metrics:
        return Exit.DIFFERS
    if found.missing:
        raise InfrastructureError(
            "Not every trial could be repeated",
            where=store.plan.id,
            cause=f"{len(found.missing)} of {len(before)} did not end well this time",
            next_step=f"kernleap compare --resume {store.plan.id} --retry-failed",
        )
    return Exit.OK


def _original(run: str) -> tuple[RunPlan, Counts]:
    from kernleap.cli._counts import counts_of_report, counts_of_run
    from kernleap.store import RunStore

    if run.endswith(".json") or Path(run).is_file():
        return counts_of_report(Path(run))
    store = RunStore.open(run)
    return store.plan, counts_of_run(store.load())


def differing_inputs(before: RunPlan, after: RunPlan) -> tuple[tuple[str, str, str], ...]:
    """(input, then, now) of what counts depend on. Kernels are equal by digest already."""
    found: dict[tuple[str, str, str], None] = {}
    for then, now in zip(before.parts, after.parts, strict=True):
        pairs = (
            ("guest", then.guest_sha256, now.guest_sha256),
            ("emulator", then.emulator_version, now.emulator_version),
            ("CPU model", then.machine.cpu, now.machine.cpu),
        )
        found |= {pair: None for pair in pairs if pair[1] != pair[2]}
    return tuple(found)


def _run_again(
    plan: RunPlan, before: Counts, jobs: int | None, offline: bool, show: Show
) -> RunStore:
    from kernleap.cli._inputs import gather_again, kconfig_digests
    from kernleap.cli._risk import keep_facts
    from kernleap.cli._running import jobs_for, run_trials
    from kernleap.experiment.plan import repeat_plan
    from kernleap.store import RunStore

    show.say(f"reproducing {plan.id}: getting its kernels by digest")
    inputs = gather_again(plan.inputs, [p.machine for p in plan.parts], offline, show)
    planned = {one.key: one.kconfig_sha256 for one in plan.inputs}
    kconfigs = inputs.kconfigs()
    digests = kconfig_digests(kconfigs)
    again = repeat_plan(
        plan,
        trials=before.keys(),
        parts=inputs.parts_of_today(plan.parts),
        kconfig_digests=digests,
        created=datetime.now(UTC),
        command=("kernleap", *sys.argv[1:]),
        kernleap_version=__version__,
    )
    for name, then, now in differing_inputs(plan, again):
        show.say(f"note: another {name} than then: {then} then, {now} now")
    for key, digest in planned.items():
        if digest and digest != digests.get(key, ""):
            show.say(f"note: the configuration of {key} is not at hand as it was (not an input)")
    store = RunStore.create(again, kconfigs)
    keep_facts(store, inputs.images, show)
    show.say(f"run {again.id}: {len(again.trials)} boots")
    show.say(f"  in {store.path}")
    run_trials(store, inputs, jobs=jobs_for(plan, jobs), show=show, resume="")
    return store


def _print(
    plan: RunPlan,
    store: RunStore,
    inputs: tuple[tuple[str, str, str], ...],
    found: Differences,
    err: bool,
) -> None:
    for name, then, now in inputs:
        click.echo(f"differs: {name}: {then} then, {now} now", err=err)
    by_metric: dict[str, int] = {}
    for one in found.metrics:
        by_metric[one.metric] = by_metric.get(one.metric, 0) + 1
    for metric, trials in list(by_metric.items())[:_SHOWN]:
        click.echo(f"differs: {metric}: in {trials} of {found.trials} trials", err=err)
    if len(by_metric) > _SHOWN:
        click.echo(f"differs: {len(by_metric) - _SHOWN} more metrics (--json has all)", err=err)
    for trial in found.missing:
        click.echo(f"missing: trial {trial} did not end well this time", err=err)
    if not (inputs or found.metrics or found.missing):
        click.echo(
            f"identical: every count of {plan.id}: {found.samples:,} samples of "
            f"{found.compared} metrics in {found.trials} trials ({store.plan.id})",
            err=err,
        )
    elif inputs and not (found.metrics or found.missing):
        click.echo("every count is identical nevertheless", err=err)


def _write(
    path: Path,
    plan: RunPlan,
    store: RunStore,
    inputs: tuple[tuple[str, str, str], ...],
    found: Differences,
) -> None:
    document = {
        "schema": "kernleap-reproduce/1",
        "original": plan.id,
        "run": store.plan.id,
        "identical": not (inputs or found.metrics or found.missing),
        "inputs": [{"name": n, "then": then, "now": now} for n, then, now in inputs],
        "trials": found.trials,
        "samples": found.samples,
        "missing": list(found.missing),
        "metrics": [{"trial": d.trial, "metric": d.metric, "what": d.what} for d in found.metrics],
    }
    text = json.dumps(document, indent=1) + "\n"
    if path == _STDOUT:
        click.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            "Cannot write the comparison", where=str(path), cause=error.strerror
        ) from error
