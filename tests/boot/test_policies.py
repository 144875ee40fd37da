"""Policies on one real stored run: adopt, hold, reject and undecided, as a CI job would ask.

The run has a path that got longer between the kernels (a system call), one that got shorter (a
byte over TCP) and one that did not change (a connection). It is made once for all workers of a
test session; everything here judges it again, each time by another policy.
"""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernleap import cli
from lab_runs import image_of, shared_run
from stored_runs import FLEET

pytestmark = [pytest.mark.boot, pytest.mark.network, pytest.mark.slow]

REFS = ("debian:7.0", "debian:7.2")
WORKLOADS = ("syscall-getppid", "tcp-1b/1p", "tcp-connect/1p")
LONGER, SHORTER, SAME = (
    f"{name}/kernel_instructions" for name in ("syscall-getppid/1p", *WORKLOADS[1:])
)


@dataclass(frozen=True)
class Told:
    """What a CI job gets: the exit code, and every file it may have asked for."""

    code: int
    decision: str
    rules: tuple[str, ...]
    junit: ET.Element
    sarif: list[dict[str, Any]]
    markdown: str


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for ref in REFS:
        image_of(ref)
    words = [word for name in WORKLOADS for word in ("--workload", name)]
    return shared_run(tmp_path_factory, "policies", *REFS, *words, "--boots", "2")


@pytest.fixture
def judged(run: Path, tmp_path: Path) -> Callable[..., Told]:
    def judge(policy: str, *options: str, least: int = 2) -> Told:
        shutil.copytree(run, tmp_path / "run", dirs_exist_ok=True)
        file = tmp_path / "policy.toml"
        file.write_text(f"min_boots = {least}\n{policy}", encoding="utf-8")
        assert cli.run(["policy", "check", str(file)]) == 0
        paths = {form: tmp_path / f"out.{form}" for form in ("json", "junit", "sarif", "markdown")}
        asked = [word for form, path in paths.items() for word in (f"--{form}", str(path))]
        code = cli.run(["report", str(tmp_path / "run"), "--policy", str(file), *asked, *options])
        (verdict,) = json.loads(paths["json"].read_text())["verdict"]
        (sarif,) = json.loads(paths["sarif"].read_text())["runs"]
        return Told(
            code=code,
            decision=verdict["decision"],
            rules=tuple(reason["rule"] for reason in verdict["reasons"]),
            junit=ET.fromstring(paths["junit"].read_text(encoding="utf-8")),
            sarif=sarif["results"],
            markdown=paths["markdown"].read_text(encoding="utf-8"),
        )

    return judge


def policy(primary: str, *guard: str, first: str = "", last: str = "") -> str:
    """A policy; `first` are keys before its tables, `last` are tables after them."""
    return (
        f'{first}\n[primary]\nmetrics = ["{primary}"]\n'
        f"[guard]\nmetrics = {json.dumps(guard)}\n{last}\n"
    )


def failed(told: Told) -> list[str]:
    """Names of failed cases of the JUnit file."""
    return [c.get("name", "") for c in told.junit.iter("testcase") if c.find("failure") is not None]


def levels(told: Told) -> list[object]:
    return [result["level"] for result in told.sarif]


def test_a_gain_without_harm_is_adopted(judged):
    told = judged(policy(SHORTER, SAME))
    assert (told.code, told.decision, told.rules) == (0, "adopt", ("gain",))
    assert failed(told) == []
    assert levels(told) == ["none"]
    assert "**adopt**" in told.markdown


def test_nothing_gained_is_held(judged):
    told = judged(policy(SAME, SHORTER))
    assert (told.code, told.decision, told.rules) == (10, "hold", ("no-gain",))
    assert failed(told) == ["verdict"]
    assert levels(told) == ["note"]
    assert "**hold**" in told.markdown


def test_harm_is_rejected_whatever_was_gained(judged):
    told = judged(policy(SHORTER, LONGER))
    assert (told.code, told.decision, told.rules) == (11, "reject", ("guard", "gain"))
    assert failed(told) == ["verdict", LONGER]
    assert levels(told)[0] == "error"
    assert told.sarif[0]["locations"][0]["logicalLocations"][0]["name"] == LONGER
    assert "**reject**" in told.markdown
    assert "prandom_u32_state" in told.markdown


def test_too_few_boots_are_undecided(judged):
    told = judged(policy(SHORTER, SAME), least=3)
    assert (told.code, told.decision, told.rules[0]) == (12, "undecided", "min-boots")
    assert failed(told) == ["verdict"]
    assert levels(told)[0] == "warning"


@pytest.mark.parametrize(("guarded", "code"), [(SHORTER, 0), (LONGER, 11)])
def test_a_gate_goes_by_what_it_guards(judged, guarded, code):
    told = judged(policy(SAME, guarded, first='goal = "gate"'))
    assert (told.code, told.rules[0]) == (code, "guard" if code else "gate")


@pytest.mark.parametrize(
    ("constraint", "code", "rule"),
    [
        # Debian's packages come through its signed index: met, and the gain stands.
        ("[sovereignty]\nsigned_packages = true", 0, "gain"),
        # They were fetched from a network for this run, or might have been: it did not say not to.
        ("[sovereignty]\noffline = true", 11, "sovereignty.offline"),
        # A binary package does not say how many patches it carries.
        ("[lifecycle]\nmax_extra_patches = 0", 12, "lifecycle.max_extra_patches"),
        # Counts have no price, whatever the fleet.
        ("[cost]\npays_back_days = 90", 12, "cost.pays_back_days"),
        ('[lifecycle]\nmax_risk = "low"', 11, "lifecycle.max_risk"),
    ],
)
def test_constraints_stand_above_a_gain(judged, constraint, code, rule):
    told = judged(policy(SHORTER, SAME, last=constraint), "--fleet", str(FLEET))
    assert (told.code, told.rules[0]) == (code, rule)
    assert "gain" in told.rules
    if code:
        assert told.sarif[0]["ruleId"] == rule
        assert failed(told)[0] == "verdict"


def test_what_nobody_knows_counts_as_the_policy_says(judged):
    unknown = "[lifecycle]\nmax_extra_patches = 0"
    told = judged(policy(SHORTER, SAME, first='on_unknown = "reject"', last=unknown))
    assert (told.code, told.rules[0]) == (11, "lifecycle.max_extra_patches")
    told = judged(policy(SHORTER, SAME, first='on_unknown = "ignore"', last=unknown))
    assert (told.code, told.rules[0]) == (0, "gain")
