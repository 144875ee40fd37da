"""`kernleap profile`, as a user types it."""

from __future__ import annotations

import json

import pytest

from kernleap.cli import run
from kernleap.machine import profiles


def test_list_names_every_profile(capsys):
    assert run(["profile", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["profiles"]
    assert [one["name"] for one in listed] == list(profiles.names())
    assert run(["profile", "list"]) == 0
    assert f"{profiles.DEFAULT} " in capsys.readouterr().out


def test_show_says_what_is_promised_and_what_is_not_shown(capsys):
    assert run(["profile", "show", "epyc-like"]) == 0
    shown = capsys.readouterr().out
    assert "last-level caches: 0-5 | 6-11 | 12-17 | 18-23" in shown
    assert "not shown: " in shown


def test_what_show_prints_as_toml_is_a_profile(capsys, tmp_path):
    assert run(["profile", "show", "intel-smt", "--toml"]) == 0
    path = tmp_path / "intel-smt.toml"
    path.write_text(capsys.readouterr().out)
    assert profiles.load(str(path)) == profiles.load("intel-smt")


def test_capture_writes_a_profile_of_this_machine(capsys, tmp_path):
    path = tmp_path / "here.toml"
    assert run(["profile", "capture", "--toml", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    shape = profiles.load(str(path))
    assert said["profile"]["truth"]["llcs"] == list(shape.truth.llcs)
    assert said["host"]["model"] == shape.stands_for


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["profile", "show", "nonesuch"], "no profile 'nonesuch'"),
        (["profile", "capture", "--toml", "/nonesuch/x.toml"], "cannot write the profile"),
    ],
)
def test_mistakes_are_named(capsys, args, says):
    assert run(args) == 2
    assert says in capsys.readouterr().err
