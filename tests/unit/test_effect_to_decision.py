"""From files of a load generator to a decision, with the money worked out by hand.

The fleet is that of examples/fleet.toml; its figures are written out here once more, so that the
arithmetic of this file stands on its own. The effect is a tenth less time for every token: the
same real file, its latencies times 0.9, and the same scatter in both arms.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernleap import cli
from stored_runs import FLEET, imported

FACTOR = 0.9
HOURS = 365 * 24

# Two pools: servers, of 4 GPUs and of none, and how busy they are.
LOADED_W = 6 * (820 + 4 * 310) * 0.45 + 2 * 900 * 0.30
IDLE_W = 6 * (380 + 4 * 45) * 0.55 + 2 * 340 * 0.70
SWING_W = 6 * (820 + 4 * 310 - 380 - 4 * 45) * 0.45 + 2 * (900 - 340) * 0.30
EUR_PER_W = HOURS / 1000 * 1.3 * 0.21  # a watt for a year, through the building, at the tariff
ENERGY = (LOADED_W + IDLE_W) * EUR_PER_W


def capital(price: float) -> float:
    """A year of a server that costs `price`: 5 years, a tenth left, 6 % a year."""
    factor = 0.06 / (1 - 1.06**-5)
    return (price - 0.1 * price / 1.06**5) * factor


SERVERS = 6 * capital(26_000 + 4 * 9_500) + 2 * capital(21_000)
YEARLY = 6 * (1_900 + 450 + 1_200) + 2 * (1_900 + 450 + 400) + 36_000
REBOOTS = 4 * 8 * 0.1 * 85  # four a year, 6 minutes of staff each
TODAY = SERVERS + YEARLY + REBOOTS + ENERGY

MARGINAL = SWING_W * EUR_PER_W * (1 - FACTOR)
FULL = TODAY * (1 - FACTOR)
STAFF = (24 + 8 * 0.1) * 85


@pytest.fixture
def run(tmp_path: Path) -> str:
    return imported(tmp_path, FACTOR)


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """The same fleet, whose policies go by the fully loaded accounting."""
    text = FLEET.read_text(encoding="utf-8")
    path = tmp_path / "loaded.toml"
    path.write_text(text.replace('accounting = "marginal"', 'accounting = "fully loaded"'))
    assert path.read_text() != text
    return path


def test_the_bill_of_an_effect_is_what_it_is_by_hand(run, capsys):
    capsys.readouterr()
    assert cli.run(["cost", str(FLEET), run, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["today"]["per_year"] == pytest.approx(TODAY, rel=1e-9)
    (kernel,) = document["kernels"]
    assert kernel["throughput"]["value"] == pytest.approx(1 / FACTOR, rel=1e-9)
    change = kernel["change"]
    assert change["marginal"]["per_year"]["value"] == pytest.approx(-MARGINAL, rel=1e-9)
    assert change["fully_loaded"]["per_year"]["value"] == pytest.approx(-FULL, rel=1e-9)
    mtok = document["today"]["per_mtok"]["value"]
    assert change["fully_loaded"]["per_mtok"]["value"] == pytest.approx(mtok * FACTOR, rel=1e-9)
    # The rollout is staff, and the serving time of 45 minutes of each server.
    rollout = STAFF + TODAY * 0.75 / HOURS
    assert change["fully_loaded"]["payback_days"]["value"] == pytest.approx(
        365 * rollout / FULL, rel=2e-3
    )


def test_no_effect_is_no_money_with_an_interval_around_it(tmp_path, capsys):
    same = imported(tmp_path, 1.0)
    capsys.readouterr()
    assert cli.run(["cost", str(FLEET), same, "--json"]) == 0
    (kernel,) = json.loads(capsys.readouterr().out)["kernels"]
    for accounting in ("marginal", "fully_loaded"):
        yearly = kernel["change"][accounting]["per_year"]
        assert yearly["value"] == pytest.approx(0, abs=1e-6)
        assert yearly["low"] < 0 < yearly["high"]


@pytest.mark.parametrize(
    ("accounting", "days", "code", "rule"),
    [
        ("fully loaded", 60, 0, "gain"),  # 44 days
        ("fully loaded", 30, 10, "cost.pays_back_days"),
        ("marginal", 365, 10, "cost.pays_back_days"),  # two years
        ("marginal", 1000, 0, "gain"),
    ],
)
def test_a_policy_goes_by_when_it_pays_back(
    run, loaded, tmp_path, capsys, accounting, days, code, rule
):
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[cost]\npays_back_days = {days}\n")
    fleet = loaded if accounting == "fully loaded" else FLEET
    capsys.readouterr()
    argv = ["report", run, "--policy", str(policy), "--fleet", str(fleet), "--json", "-"]
    assert cli.run(argv) == code
    (verdict,) = json.loads(capsys.readouterr().out)["verdict"]
    assert verdict["reasons"][0]["rule"] == rule


def test_without_a_fleet_the_same_policy_is_undecided(run, tmp_path, capsys):
    policy = tmp_path / "policy.toml"
    policy.write_text("[cost]\npays_back_days = 60\n")
    capsys.readouterr()
    assert cli.run(["report", run, "--policy", str(policy), "--json", "-"]) == 12
    (verdict,) = json.loads(capsys.readouterr().out)["verdict"]
    assert verdict["reasons"][0]["rule"] == "cost.pays_back_days"
    assert "no fleet was given" in verdict["reasons"][0]["text"]
