"""Runs of the same kernels in one report: counted in the lab, timed from files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kernleap import cli
from kernleap.report.scale import scale_of
from kernleap.report.view import view
from report_data import make
from stored_runs import copy_of, imported


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    return copy_of("two-architectures", tmp_path), imported(tmp_path, 0.9)


def test_the_chain_tells_of_both_and_what_a_reader_asks_for_comes_first(both, capsys):
    capsys.readouterr()
    assert cli.run(["report", *both, "--json", "-"]) == 11
    chain = json.loads(capsys.readouterr().out)["verdict"][0]["chain"]
    assert [link["grade"] for link in chain] == ["counted", "counted", "", "timed", ""]
    told = chain[3]["text"].split("; ")
    assert told[0].startswith("imported/guidellm/ttft_p99 −10.00 %")
    assert told[1].startswith("imported/guidellm/tokens_per_second +11.11 %")


def test_run_it_again_is_a_command_that_comes_to_the_same(both, capsys):
    capsys.readouterr()
    cli.run(["report", *both, "--json", "-"])
    first = json.loads(capsys.readouterr().out)
    program, *again = first["reproduce"].split()
    assert (program, again[0]) == ("kernleap", "report")
    assert again[1] == "two-architectures"
    # The kept run is known by its path here, not among the runs of this machine.
    assert cli.run(["report", both[0], *again[2:], "--json", "-"]) == 11
    assert json.loads(capsys.readouterr().out)["verdict"] == first["verdict"]


def test_a_row_of_placement_is_called_by_its_workload(tmp_path, capsys):
    assert cli.run(["report", copy_of("placement", tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "spin/scattered " in out
    assert "≈ equivalent: single/control" in out


@pytest.mark.parametrize(
    ("changes", "full"),
    [((0.8,), 1.0), ((0.0, 0.8), 1.0), ((*[0.015] * 9, 5.0), 0.02), ((), 0.002)],
)
def test_a_scale_holds_nine_in_ten_and_never_flattens_two(changes, full):
    judgement, run = make()
    (one, *_) = view(judgement, run).candidates[0].movers
    assert scale_of([replace(one[1], ratio=1.0 + c) for c in changes]).full == full
