"""`kernleap import`: files of other load generators become timed trials, and are judged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kernleap import __version__
from kernleap.cli import _options
from kernleap.cli._judging import Outputs, judge_and_report

_ARMS = ("--baseline", "--candidate")


class _Gathering(click.Command):
    """Lets an option take all words up to the next option, as shells expand patterns."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join what belongs together before click sees it."""
        return super().parse_args(ctx, list(gather(args)))


class _Files(click.ParamType[tuple[Path, ...]]):
    """What `gather` joined."""

    name = "FILE..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Path, ...]:
        """The paths; there must be one."""
        if isinstance(value, tuple):
            return value
        paths = tuple(Path(word) for word in str(value).split("\0") if word)
        if not paths:
            self.fail("give at least one file or directory", param, ctx)
        return paths


def gather(args: Sequence[str]) -> Iterator[str]:
    """Each `--baseline`/`--candidate` with all words up to the next option, joined by NUL."""
    rest = list(args)
    while rest:
        word = rest.pop(0)
        option, given, value = word.partition("=")
        if option not in _ARMS:
            yield word
            continue
        files = [value] if given else []
        while rest and not rest[0].startswith("-"):
            files.append(rest.pop(0))
        yield from (option, "\0".join(files))


@click.command(name="import", cls=_Gathering)
@click.option("--baseline", type=_Files(), required=True, help="Results of the baseline.")
@click.option(
    "--candidate",
    "candidates",
    type=_Files(),
    multiple=True,
    required=True,
    help="Results of a candidate; each --candidate begins another.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME",
    help="What an arm is called, the kernel best: the baseline's first, then each candidate's.",
)
@_options.policy_file
@_options.outputs
@click.pass_context
def command(
    ctx: click.Context,
    /,
    baseline: tuple[Path, ...],
    candidates: tuple[tuple[Path, ...], ...],
    labels: tuple[str, ...],
    policy_path: Path | None,
    **options: Any,
) -> int:
    """Compare results of guidellm, aiperf or vllm bench serve, and judge them like any run.

    A file is a trial: run the tool several times on each kernel, in turns. FILE may be a
    directory of results. They are kept as a run; the exit code is the verdict's.

    \b
    Examples:
      kernleap import --baseline old-*.json --candidate new-*.json \\
          --label 7.0 --label 7.2
      kernleap import --baseline a1/ a2/ a3/ --candidate b1/ b2/ b3/
    """
    from kernleap.imported.files import read_results
    from kernleap.imported.run import ImportedArm, make_run
    from kernleap.judge.policy import load
    from kernleap.store import RunStore

    outputs = Outputs.of(options)
    outputs.check()
    policy = load(policy_path)
    arms = [
        ImportedArm(label, read_results(paths))
        for label, paths in zip(
            _labels(ctx, labels, len(candidates)), (baseline, *candidates), strict=True
        )
    ]
    plan, records = make_run(
        arms,
        created=datetime.now(UTC),
        command=("kernleap", *sys.argv[1:]),
        version=__version__,
    )
    store = RunStore.create(plan, {})
    with store.controlling():
        for record in records:
            store.write(record)
    click.echo(f"run {plan.id}: {len(records)} files in {store.path}", err=True)
    return judge_and_report([store], policy, outputs)


def _labels(ctx: click.Context, given: tuple[str, ...], candidates: int) -> tuple[str, ...]:
    if given:
        if len(given) != candidates + 1:
            raise click.UsageError(
                f"{len(given)} labels for {candidates + 1} arms: give one for each, or none", ctx
            )
        return given
    more = tuple(f"candidate {n}" for n in range(2, candidates + 1))
    return ("baseline", "candidate", *more)
