"""Policies: the default's meaning, and complaints that name the key and the line."""

from __future__ import annotations

import pytest

from kernleap.judge.policy import Goal, load
from kernleap.model.errors import UsageError
from kernleap.model.metric import Better, Grade, Metric, Role
from kernleap.model.result import VerdictDecision
from simulated import metrics_of


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "gate.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_default_looks_for_gains_in_paths_and_guards_them():
    policy = load()
    path, *_ = metrics_of("pipe/1p")
    scheduled, *_ = metrics_of("pipe/2p-batch")
    behaviour, schedules, _ = metrics_of("pipe/2p-other")
    assert policy.goal is Goal.ROLLOUT
    assert policy.is_primary(path)
    assert not policy.is_primary(scheduled)
    assert policy.is_guarded(scheduled)
    assert not policy.is_guarded(behaviour)
    assert not policy.is_guarded(schedules)
    assert policy.margin(path) == 0.001
    assert policy.margin(scheduled) == policy.margins[Role.SCHEDULED]
    assert policy.knowledge(path).settled
    assert not policy.knowledge(behaviour).settled


def test_a_file_changes_only_what_it_says(written):
    policy = load(
        written(
            'name = "ci"\ngoal = "gate"\n[guard]\nmargin = 0.005\n'
            '[margins.metrics]\n"tcp-*/1p/*" = 0.02\n[forms."1p"]\nscatter = 0.001\n'
        )
    )
    default = load()
    assert (policy.name, policy.goal, policy.guard_margin) == ("ci", Goal.GATE, 0.005)
    assert policy.guard == default.guard
    assert policy.forms["1p"].scatter == 0.001
    assert policy.forms["1p"].settled
    assert policy.forms["2p-batch"] == default.forms["2p-batch"]
    assert policy.margin(metrics_of("tcp-1b/1p")[0]) == 0.02
    assert policy.margin(metrics_of("pipe/1p")[0]) == 0.001


def test_on_behaviour_change_can_be_ignored(written):
    assert load().on_behaviour_change is VerdictDecision.HOLD
    assert load(written('on_behaviour_change = "ignore"\n')).on_behaviour_change is None


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ('name = "x"\ngaurd = 1\n', 2, "gaurd", "unknown key"),
        ('name = "x"\n\n[guard]\nmargin = 0.1\nmetric = ["*"]\n', 5, "guard.metric", "unknown key"),
        ('[forms."1p"]\n# comment\nscater = 1\n', 3, "forms.1p.scater", "unknown key"),
        ("[guard]\nmargin = -0.1\n", 2, "guard.margin", "out of range"),
        ('[guard]\nmargin = "1 %"\n', 2, "guard.margin", "must be a number"),
        ("min_boots = 2.5\n", 1, "min_boots", "whole number"),
        ("min_boots = true\n", 1, "min_boots", "number"),
        ('goal = "deploy"\n', 1, "goal", "not known"),
        ('grades = ["guessed"]\n', 1, "grades", "not known"),
        ("primary = 3\n", 1, "primary", "table"),
        ('[primary]\nmetrics = "*"\n', 2, "primary.metrics", "list"),
        ("[forms.new]\nscatter = 0.1\n", 1, "forms.new.events", "missing"),
        ('name = ""\n', 1, "name", "non-empty"),
        ('[forms."1p"]\nsettled = 1\n', 2, "forms.1p.settled", "true or false"),
        ("guard.margn = 0.1\n", 1, "guard.margn", "unknown key"),
    ],
)
def test_complaints_name_key_and_line(written, text, line, key, says):
    path = written(text)
    with pytest.raises(UsageError) as error:
        load(path)
    assert says in error.value.what
    assert error.value.where == f"{path}, line {line}, key {key}"
    assert error.value.next_step


def test_a_file_that_is_not_toml_says_where(written):
    with pytest.raises(UsageError) as error:
        load(written('name = "x"\nmargin == 3\n'))
    assert "line 2" in (error.value.cause or "")


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot read the policy"):
        load(tmp_path / "none.toml")


def test_the_longest_pattern_that_matches_a_form_tells_what_is_known_of_it():
    def known(form: str):
        return load().knowledge(
            Metric(f"w/{form}/q", "u", Better.LOWER, Grade.COUNTED, Role.PATH, "mode")
        )

    assert known("1p").scatter == 0.0002
    assert known("llama.cpp-tiny").scatter == 0.04
    assert known("llama.cpp-tiny").settled
    assert known("of-tomorrow").scatter == 0.01
