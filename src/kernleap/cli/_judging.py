"""From a stored run to a verdict: the half that needs no machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli._formats import FORMATS
from kernleap.model.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from kernleap.cost.fleet import Fleet
    from kernleap.judge import Judgement
    from kernleap.judge.policy import Policy
    from kernleap.model.run import RunData
    from kernleap.report.parts import ReportView
    from kernleap.store import RunStore

STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where renderings go besides the terminal, by the name of their form.

    `-` is standard output, instead of the table.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    everything: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Outputs:
        """From the parameters of a command with `_options.outputs`."""
        paths = {form.name: options[f"{form.name}_path"] for form in FORMATS}
        return cls({name: p for name, p in paths.items() if p is not None}, options["everything"])

    def check(self) -> None:
        """Find out before a long run, not after it, that a file cannot be written.

        Raises:
            UsageError: a directory does not exist, or two go to the same place.
        """
        taken: dict[Path, str] = {}
        for name, path in self.paths.items():
            other = taken.setdefault(path, name)
            if other != name:
                place = "standard output" if path == STDOUT else str(path)
                raise UsageError(f"--{other} and --{name} cannot both go to {place}")
            if path != STDOUT and (path.is_dir() or not path.absolute().parent.is_dir()):
                raise UsageError(
                    f"--{name} cannot be written",
                    where=str(path),
                    cause="it is a directory" if path.is_dir() else "its directory does not exist",
                )


def judged(runs: Sequence[str], policy_path: Path | None) -> Judgement:
    """The judgement of stored runs of the same arms, for commands that go on from there.

    Raises:
        UsageError: no such run, or a wrong policy.
        InfrastructureError: the run cannot be read.
    """
    from kernleap.judge import judge
    from kernleap.judge.join import join
    from kernleap.judge.policy import load
    from kernleap.store import RunStore

    return judge(join([RunStore.open(run).load() for run in runs]), load(policy_path))


def judge_and_report(
    stores: Sequence[RunStore], policy: Policy, outputs: Outputs, fleet: Fleet | None = None
) -> int:
    """Judge what is stored, write the reports, print the table; the exit code of the verdict.

    Several runs are judged as one; the copies beside a run are those of that run alone.

    Raises:
        UsageError: runs that cannot be joined, or a fleet that cannot be priced.
        InfrastructureError: the run cannot be read, or an asked-for file not written.
    """
    from rich.console import Console

    from kernleap.judge import exit_code
    from kernleap.judge.join import join
    from kernleap.report import terminal

    run = join([store.load() for store in stores])
    judgement, page = assess(run, policy, fleet)
    for form in FORMATS:
        path = outputs.paths.get(form.name)
        kept = form.stored if len(stores) == 1 else ""
        if path is None and not kept:
            continue
        text = form.render(page)
        if kept:
            _keep(stores[0], kept, text)
        if path == STDOUT:
            click.echo(text, nl=False)
        elif path is not None:
            write_file(path, text)
    if STDOUT not in outputs.paths.values():
        terminal.render(page, Console(highlight=False), everything=outputs.everything)
    return exit_code(judgement.verdicts)


def assess(run: RunData, policy: Policy, fleet: Fleet | None) -> tuple[Judgement, ReportView]:
    """The judgement of a run with all that is known of its kernels, and its report."""
    from kernleap.cli._evidence import evidence_of
    from kernleap.cli._risk import run_profiles, today
    from kernleap.cost.assemble import cost
    from kernleap.cost.effect import evidence
    from kernleap.judge import judge
    from kernleap.report.beyond import beyond
    from kernleap.report.view import view

    profiles, day = run_profiles(run), today()
    judgement = judge(run, policy, evidence_of(run, profiles, None), day)
    priced = None
    if fleet is not None:
        plan = run.plan
        priced = cost(fleet, evidence(judgement), run=plan.id, baseline=plan.baseline.name)
        if policy.constraints.pays_back_days is not None:
            judgement = judge(run, policy, evidence_of(run, profiles, priced), day)
    return judgement, view(judgement, run, beyond(profiles, priced))


def _keep(store: RunStore, name: str, text: str) -> None:
    try:
        store.write_report(name, text)
    except InfrastructureError as error:
        # The verdict stands without the copy in the run; someone else's run may be read-only.
        print(f"kernleap: {error.what} ({error.cause})", file=sys.stderr)


def write_file(path: Path, text: str) -> None:
    """Write what was asked for.

    Raises:
        InfrastructureError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            "Cannot write the report",
            where=str(path),
            cause=error.strerror,
            next_step="kernleap report latest, with another file",
        ) from error
