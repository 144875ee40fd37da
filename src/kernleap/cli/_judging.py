"""From a stored run to a verdict: the half that needs no machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernleap.model.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from kernleap.judge.policy import Policy
    from kernleap.store import RunStore

STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where renderings go besides the terminal. `-` is standard output, instead of the table."""

    json: Path | None = None
    html: Path | None = None
    everything: bool = False

    def check(self) -> None:
        """Find out before a long run, not after it, that a file cannot be written.

        Raises:
            UsageError: a directory does not exist, or both go to standard output.
        """
        if self.json == STDOUT and self.html == STDOUT:
            raise UsageError("--json and --html cannot both go to standard output")
        for option, path in (("--json", self.json), ("--html", self.html)):
            if path is None or path == STDOUT:
                continue
            if path.is_dir() or not path.absolute().parent.is_dir():
                raise UsageError(
                    f"{option} cannot be written",
                    where=str(path),
                    cause="it is a directory" if path.is_dir() else "its directory does not exist",
                )


def judge_and_report(store: RunStore, policy: Policy, outputs: Outputs) -> int:
    """Judge what is stored, write the reports, print the table; the exit code of the verdict.

    Raises:
        InfrastructureError: the run cannot be read, or an asked-for file not written.
    """
    from rich.console import Console

    from kernleap.judge import exit_code, judge
    from kernleap.report import html, json, terminal
    from kernleap.report.view import view

    run = store.load()
    judgement = judge(run, policy)
    page = view(judgement, run)
    texts = {
        "report.html": (html.render(page), outputs.html),
        "report.json": (json.dumps(json.render(page)), outputs.json),
    }
    for name, (text, path) in texts.items():
        try:
            store.write_report(name, text)
        except InfrastructureError as error:
            # The verdict stands without the copy in the run; someone else's run may be read-only.
            print(f"kernleap: {error.what} ({error.cause})", file=sys.stderr)
        if path == STDOUT:
            click.echo(text, nl=False)
        elif path is not None:
            _write(path, text)
    if STDOUT not in (outputs.json, outputs.html):
        terminal.render(page, Console(highlight=False), everything=outputs.everything)
    return exit_code(judgement.verdicts)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            "Cannot write the report",
            where=str(path),
            cause=error.strerror,
            next_step="kernleap report latest, with another file",
        ) from error
