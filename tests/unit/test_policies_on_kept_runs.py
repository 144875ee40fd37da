"""Policies on kept runs: serving counted for each token, placement, imported times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernleap import cli
from stored_runs import copy_of, imported

TOKEN = "serving/*/kernel_instructions_per_token"
CALL = "syscall-getppid/1p/kernel_instructions"
SPIN, SINGLE = "spin/scattered/locality", "single/control/locality"


def verdict(run: str, policy: str, to: Path, capsys: pytest.CaptureFixture[str]) -> list[object]:
    """Exit code, decision and the rule that decided."""
    file = to / "policy.toml"
    file.write_text(policy, encoding="utf-8")
    capsys.readouterr()
    code = cli.run(["report", run, "--policy", str(file), "--json", "-"])
    (told,) = json.loads(capsys.readouterr().out)["verdict"]
    return [code, told["decision"], told["reasons"][0]["rule"]]


def rules(primary: str, guard: str, gain: float = 0.01) -> str:
    return (
        f'[primary]\nmetrics = ["{primary}"]\nmin_gain = {gain}\n[guard]\nmetrics = ["{guard}"]\n'
    )


@pytest.mark.parametrize(
    ("primary", "guard", "gain", "expected"),
    [
        # A token costs 9.75 % less, surely 5.4 % less.
        (TOKEN, TOKEN, 0.01, [0, "adopt", "gain"]),
        (TOKEN, TOKEN, 0.08, [12, "undecided", "gain-open"]),
        (TOKEN, TOKEN, 0.20, [10, "hold", "no-gain"]),
        (TOKEN, CALL, 0.01, [11, "reject", "guard"]),
        # The same call is shorter on arm64, and each architecture is guarded by its own name.
        (TOKEN, f"arm64:{CALL}", 0.01, [0, "adopt", "gain"]),
    ],
)
def test_serving_in_the_lab(tmp_path, capsys, primary, guard, gain, expected):
    run = copy_of("two-architectures", tmp_path)
    assert verdict(run, rules(primary, guard, gain), tmp_path, capsys) == expected


@pytest.mark.parametrize(
    ("primary", "expected"),
    [(SPIN, [0, "adopt", "gain"]), (SINGLE, [10, "hold", "no-gain"])],
)
def test_placement(tmp_path, capsys, primary, expected):
    run = copy_of("placement", tmp_path)
    assert verdict(run, rules(primary, SINGLE), tmp_path, capsys) == expected
    # The same evidence is none where a policy does not rest on that grade.
    timed = f'grades = ["timed"]\n{rules(primary, SINGLE)}'
    assert verdict(run, timed, tmp_path, capsys) == [12, "undecided", "no-evidence"]


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (0.9, [0, "adopt", "gain"]),
        (1.0, [10, "hold", "no-gain"]),
        (1.1, [11, "reject", "guard"]),
        # 5 files scatter too much for one per cent to be certain, either way.
        (0.992, [12, "undecided", "gain-open"]),
    ],
)
def test_imported_times(tmp_path, capsys, factor, expected):
    noise = (
        (1.0, 1.012, 0.991, 1.006, 0.997) if factor == 0.992 else (1.0, 1.002, 0.999, 1.001, 1.0)
    )
    run = imported(tmp_path, factor, noise=noise)
    throughput = "imported/*/tokens_per_second"
    assert verdict(run, rules(throughput, throughput), tmp_path, capsys) == expected
