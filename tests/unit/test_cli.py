"""The command line: what it says when something is wrong, and how it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator

import click
import numpy as np
import pytest

from kernleap import cli
from kernleap.cli._counts import compare_counts, counts_of_report, counts_of_run
from kernleap.model.errors import UsageError
from kernleap.model.trial import TrialRecord, TrialStatus
from kernleap.store import RunStore
from simulated import World, run_of


def test_help_is_quick_to_import():
    """No verb's libraries are loaded to list the verbs."""
    heavy = "numpy pyarrow duckdb scipy jinja2 asyncio subprocess rich"
    code = (
        "import sys; from kernleap import cli\n"
        "assert cli.run(['--help']) == 0 and cli.run(['compare', '--help']) == 0\n"
        f"print([m for m in '{heavy}'.split() if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for verb in ("compare", "kernels", "report", "reproduce", "runs"):
        assert f"\n  {verb} " in done.stdout


def commands(
    command: click.Command, name: str, above: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Every command with what its --help prints on a terminal of 80 columns."""
    ctx = click.Context(command, info_name=name, parent=above, terminal_width=80)
    yield ctx.command_path, command.get_help(ctx)
    if isinstance(command, click.Group):
        for verb in command.list_commands(ctx):
            below = command.get_command(ctx, verb)
            assert below is not None
            yield from commands(below, verb, ctx)


def test_help_of_every_command_has_an_example_and_fits():
    helps = dict(commands(cli.kernleap, "kernleap"))
    assert "kernleap risk data pack" in helps
    for path, text in helps.items():
        _, mark, example = text.partition("  Example")
        assert mark, path
        assert " kernleap " in example.partition("Options:")[0], path
        assert [line for line in text.splitlines() if len(line) > 80] == [], path


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["compare"], "give a BASELINE and at least one CANDIDATE"),
        (["compare", "debian:7.0"], "give a BASELINE and at least one CANDIDATE"),
        (["compare", "nosource:1", "debian:7.2"], "nosource"),
        (["compare", "debian:7.0", "debian:7.2", "--policy", "/nope"], "/nope"),
        (["compare", "debian:7.0", "debian:7.2", "--json", "/nope/x"], "does not exist"),
        (["compare", "debian:7.0", "debian:7.2", "--html", "/"], "directory"),
        (["compare", "debian:7.0", "debian:7.2", "--boots", "0"], "--boots must be between"),
        (["compare", "debian:7.0", "debian:7.2", "--workload", "zzz"], "'zzz'"),
        (["compare", "debian:7.0", "debian:7.2", "--suite", "x"], "no suite 'x'"),
        (["compare", "debian:7.0", "debian:7.2", "--suite", "micro,quick"], "two of the suites"),
        (["compare", "debian:7.0", "debian:7.2", "--suite", "micro,y"], "no suite 'y'"),
        (["compare", "debian:7.0", "debian:7.2", "--profile", "two-llc"], "--suite placement"),
        (["compare", "debian:7.0", "debian:7.2", "--profile", "x"], "no profile 'x'"),
        (["compare", "debian:7.0", "debian:7.2", "--arch", "mips"], "'mips' is not one of"),
        (["compare", "debian:7.0", "debian:7.2", "--fleet", "/nope"], "cannot read the fleet"),
        (["compare", "debian:7.0", "debian:7.2", "--machine", "moon"], "known: here"),
        (["compare", "debian:7.0", "debian:7.2", "--retry-failed"], "needs --resume"),
        (["compare", "--resume", "zz"], "No run 'zz'"),
        (["compare", "--resume", "latest", "--boots", "3"], "leave --boots out"),
        (["compare", "--resume", "latest", "debian:7.0"], "leave the kernels out"),
        (["report"], "There are no runs yet"),
        (["report", "--json", "-", "--html", "-"], "cannot both"),
        (["reproduce", "nope"], "No run 'nope'"),
        (["reproduce", "nope.json"], "No such file"),
        (["runs", "rm", "nope", "--yes"], "No run 'nope'"),
        (["policy", "check", "/"], "cannot read the policy"),
        (["cost", "/nope"], "cannot read the fleet"),
    ],
)
def test_wrong_input_ends_with_2_and_says_what(args, said, capsys):
    assert cli.run(args) == 2
    streams = capsys.readouterr()
    assert said in streams.err
    assert streams.out == ""
    assert "Traceback" not in streams.err


def test_a_defect_is_one_line_and_a_traceback_on_demand(capsys, monkeypatch):
    def broken() -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(RunStore, "list", staticmethod(broken))
    assert cli.run(["runs", "list"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: on purpose" in said
    assert "KERNLEAP_DEBUG=1" in said
    assert "Traceback" not in said
    monkeypatch.setenv("KERNLEAP_DEBUG", "1")
    assert cli.run(["runs", "list"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m kernleap --help | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout == "1\n"


@pytest.fixture
def run(runs_in_tmp) -> RunStore:
    """A stored run with a known truth: one path of the candidate is 13 % longer."""
    world = World(np.random.default_rng(1), workloads=2)
    boots = {
        "baseline": [world.boot({}, {}) for _ in range(3)],
        "candidate": [world.boot({"w1/1p": 1.13}, {}) for _ in range(3)],
    }
    data = run_of(boots, regions=world.regions)
    store = RunStore.create(data.plan, {})
    for record in data.records:
        store.write(record)
    return store


def test_report_judges_again_and_ends_with_the_verdict(run, tmp_path, capsys):
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    assert cli.run(["report", "--html", str(page), "--json", str(data)]) == 11
    assert "REJECT" in capsys.readouterr().out
    assert page.read_text().lower().startswith("<!doctype html")
    document = json.loads(data.read_text())
    assert [v["decision"] for v in document["verdict"]] == ["reject"]
    assert (run.path / "report.json").read_text() == data.read_text()
    assert (run.path / "report.html").read_text() == page.read_text()
    assert cli.run(["report", run.plan.id[:5], "--json", "-"]) == 11
    assert json.loads(capsys.readouterr().out) == document


def test_report_by_another_policy(run, tmp_path, capsys):
    policy = tmp_path / "lenient.toml"
    policy.write_text('name = "lenient"\n[guard]\nmargin = 0.5\n')
    assert cli.run(["report", "--policy", str(policy)]) == 10
    assert "lenient" in capsys.readouterr().out


def test_too_few_good_boots_end_with_20(run, capsys):
    for trial in run.plan.trials[1:]:
        run.trial_path(trial.id).unlink()
        run.write(TrialRecord(trial, TrialStatus.PANICKED, reason="Kernel panic - not syncing"))
    assert cli.run(["report"]) == 20
    assert "panic" in capsys.readouterr().out


def test_runs_are_listed_shown_and_removed(run, capsys, monkeypatch):
    assert cli.run(["report"]) == 11
    capsys.readouterr()
    assert cli.run(["runs", "list"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert run.plan.id in line
    assert "6/6" in line
    assert "reject" in line
    assert cli.run(["runs", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run"], row["ok"], row["verdicts"]) == (run.plan.id, 6, ["reject"])
    assert cli.run(["runs", "show", "latest"]) == 0
    shown = capsys.readouterr().out
    assert run.plan.trials[0].id in shown
    assert "w1/1p/kernel_instructions" in shown
    assert cli.run(["runs", "show", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 6

    (run.path / "trials" / "stray").write_text("x")
    assert cli.run(["runs", "list"]) == 0  # a damaged run is listed as such
    assert "Cannot use a file" in capsys.readouterr().out
    (run.path / "trials" / "stray").unlink()

    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert cli.run(["runs", "rm", run.plan.id]) == 130
    assert RunStore.list() == (run.plan.id,)
    assert cli.run(["runs", "rm", run.plan.id, "--yes"]) == 0
    assert RunStore.list() == ()


def test_counts_of_a_run_and_of_its_report_are_the_same(run, tmp_path, capsys):
    path = tmp_path / "report.json"
    cli.run(["report", "--json", str(path)])
    plan, from_report = counts_of_report(path)
    assert plan == run.plan
    from_run = counts_of_run(run.load())
    assert from_report == from_run
    found = compare_counts(from_report, from_run)
    assert (found.metrics, found.missing, found.trials) == ((), (), 6)
    path.write_text(json.dumps({"schema": "other"}))
    with pytest.raises(UsageError, match="Not a report"):
        counts_of_report(path)


def test_one_changed_sample_is_found(run):
    before = counts_of_run(run.load())
    data = run.load()
    changed = data.records[2].samples[0].values.copy()
    changed[-1] += 1
    object.__setattr__(data.records[2].samples[0], "values", changed)
    (difference,) = compare_counts(before, counts_of_run(data)).metrics
    assert difference.trial == data.records[2].trial.id
    assert difference.metric == data.records[2].samples[0].metric
    object.__setattr__(data.records[2].samples[0], "values", np.append(changed, 1.0))
    (difference,) = compare_counts(before, counts_of_run(data)).metrics
    assert "samples then" in difference.what
    object.__setattr__(data.records[1], "status", TrialStatus.LOST)
    assert compare_counts(before, counts_of_run(data)).missing == (data.records[1].trial.id,)
