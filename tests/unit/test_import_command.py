"""`kernleap import` from end to end: real files in, a stored run and a verdict out."""

from __future__ import annotations

import json

import pytest

from imported_files import FILES, GUIDELLM, changed
from kernleap.cli import run
from kernleap.cli.import_ import gather
from kernleap.store import RunStore


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))


def test_an_option_takes_all_words_up_to_the_next():
    given = [
        "--baseline",
        "a",
        "b",
        "--all",
        "--candidate=c",
        "d",
        "--candidate",
        "e",
        "--json",
        "-",
    ]
    assert list(gather(given)) == [
        "--baseline", "a\0b", "--all", "--candidate", "c\0d", "--candidate", "e", "--json", "-",
    ]  # fmt: skip


def test_files_become_a_run_that_can_be_judged_again(capsys):
    first, second, third = map(str, GUIDELLM)
    argv = ["import", "--baseline", first, third, "--candidate", second]
    assert run([*argv, "--label", "7.0", "--label", "7.2", "--json", "-"]) == 12
    document = json.loads(capsys.readouterr().out)
    assert [verdict["decision"] for verdict in document["verdict"]] == ["undecided"]

    store = RunStore.open("latest")
    assert [arm.name for arm in store.plan.arms] == ["7.0", "7.2"]
    assert len(store.load().records) == 3
    assert run(["report", "latest", "--json", "-"]) == 12
    again = json.loads(capsys.readouterr().out)
    assert again["verdict"] == document["verdict"]
    assert run(["runs", "show", "latest"]) == 0
    assert "imported" in capsys.readouterr().out


def test_times_cannot_be_reproduced(capsys):
    first, second, _ = map(str, GUIDELLM)
    assert run(["import", "--baseline", first, "--candidate", second]) == 12
    assert run(["reproduce", "latest"]) == 2
    assert "Times do not come out the same again" in capsys.readouterr().err


def test_a_broken_file_is_a_usage_error_that_leaves_nothing(tmp_path, capsys):
    broken = changed(
        tmp_path, GUIDELLM[0].name, "broken.json",
        lambda d: d["benchmarks"][0]["metrics"]["request_latency"]["successful"].pop("percentiles"),
    )  # fmt: skip
    argv = ["import", "--baseline", str(GUIDELLM[1]), "--candidate", str(broken)]
    assert run(argv) == 2
    complaint = capsys.readouterr().err
    assert "benchmarks[0].metrics.request_latency.successful.percentiles" in complaint
    assert "guidellm 0.8.1" in complaint
    assert RunStore.list() == ()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--baseline", "--candidate", "x"], "at least one file"),
        (["--baseline", "x"], "Missing option '--candidate'"),
        (["--baseline", str(FILES / "missing.json"), "--candidate", "x"], "No such file"),
        (["--baseline", str(GUIDELLM[0]), "--candidate", str(GUIDELLM[1]), "--label", "one"],
         "1 labels for 2 arms"),
    ],
)  # fmt: skip
def test_commands_that_cannot_be_right(argv, complaint, capsys):
    assert run(["import", *argv]) == 2
    assert complaint in capsys.readouterr().err
