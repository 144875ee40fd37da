"""`kernleap cost` from stored runs to text, JSON, Markdown and a page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kernleap import cli
from kernleap.cost.ratio import Figure
from kernleap.model.run import RunData
from kernleap.report.money import amount, days, difference, payback, with_interval
from kernleap.store import RunStore
from timed_run import counted, guest_rate, run_of, scattered, timed

FLEET = str(Path(__file__).resolve().parents[2] / "examples/fleet.toml")
RATE = timed("tokens_per_second")


def stored(run: RunData) -> str:
    store = RunStore.create(run.plan, {})
    for record in run.records:
        store.write(record)
    return str(store.path)


@pytest.fixture
def faster() -> str:
    arms = {
        "7.0": {RATE: scattered(1000)},
        "7.2": {RATE: scattered(1050, seed=2)},
        "pacman:bore": {RATE: scattered(1100, seed=3)},
    }
    return stored(run_of(arms))


@pytest.fixture
def lab() -> str:
    arms = {
        name: {counted(): scattered(count, seed=seed), guest_rate(): scattered(2000, seed=seed)}
        for name, count, seed in (("7.0", 111_000, 1), ("7.2<b>|x", 102_000, 2))
    }
    return stored(run_of(arms))


def test_a_fleet_alone_is_a_calculator(capsys):
    assert cli.run(["cost", FLEET]) == 0
    out = capsys.readouterr().out
    assert "A million tokens cost 0.2828 EUR" in out
    assert "176,796" in out
    assert "What each kernel" not in out
    assert "energy tariff               0.15 EUR/kWh to 0.32 EUR/kWh" in out


def test_a_timed_run_has_prices_in_both_accountings(faster, capsys):
    assert cli.run(["cost", FLEET, faster, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    plain, patched = document["kernels"]
    assert (plain["priced"], plain["patched"], patched["patched"]) == (True, False, True)
    loaded = plain["change"]["fully_loaded"]["per_year"]
    today = document["today"]["per_year"]
    assert loaded["value"] == pytest.approx(-today * (1 - 1 / 1.05))
    assert loaded["low"] < loaded["value"] < loaded["high"] < 0
    upkeep = document["effort"]["upkeep_per_year"]
    assert patched["change"]["fully_loaded"]["per_year"]["value"] == pytest.approx(
        -today * (1 - 1 / 1.1) + upkeep
    )
    assert plain["change"]["marginal"]["per_year"]["value"] > loaded["value"]
    assert plain["change"]["joules_per_token_is"] == "derived"
    assert patched["change"]["marginal"]["payback_days"]["value"] is None  # never, in JSON
    swings = plain["sensitivity"]["fully_loaded"]
    assert "effect.throughput" in [s["input"] for s in swings]
    assert document["fleet"]["inputs"]["energy.tariff"] == {
        "value": pytest.approx(0.21), "low": pytest.approx(0.15), "high": pytest.approx(0.32),
        "unit": "EUR/kWh",
    }  # fmt: skip


def test_the_same_in_words(faster, capsys):
    assert cli.run(["cost", FLEET, faster]) == 0
    out = capsys.readouterr().out
    sentences = " ".join(out.split())
    assert re.search(r"7\.2: \+5\.00 % \(1\.04.. to 1\.05..\).*?\[timed\]", sentences)
    assert "pacman:bore (patched: with upkeep)  marginal" in out
    assert "The two are alternatives, never added." in out
    assert "Energy was not measured: J/token is derived" in out
    assert "no measured effect" not in out
    assert "NOT SETTLED" not in out


def test_the_same_command_gives_the_same_bytes(faster, capsys):
    cli.run(["cost", FLEET, faster, "--json"])
    first = capsys.readouterr().out
    cli.run(["cost", FLEET, faster, "--json"])
    assert capsys.readouterr().out == first
    cli.run(["cost", FLEET, faster, "--json", "--seed", "2"])
    other = json.loads(capsys.readouterr().out)
    here, there = (d["kernels"][0]["change"]["marginal"] for d in (json.loads(first), other))
    assert here["per_year"]["low"] == pytest.approx(there["per_year"]["low"], rel=1e-3)


def test_an_effect_of_an_open_sign_says_so(capsys):
    arms = {"7.0": {RATE: scattered(1000, 0.1)}, "7.2": {RATE: scattered(1010, 0.1, seed=5)}}
    assert cli.run(["cost", FLEET, stored(run_of(arms))]) == 0
    assert "7.2: NOT SETTLED" in " ".join(capsys.readouterr().out.split())


def test_counts_are_told_and_never_priced(lab, capsys):
    assert cli.run(["cost", FLEET, lab, "--json"]) == 0
    [kernel] = json.loads(capsys.readouterr().out)["kernels"]
    assert kernel["priced"] is False
    assert kernel["change"] is None
    assert kernel["at_most"] is None
    assert kernel["counted"]["grade"] == "counted"
    assert cli.run(["cost", FLEET, lab]) == 0
    out = capsys.readouterr().out
    assert "no measured effect, so no price" in out
    assert "rollout pays back" not in out


def test_a_bound_is_called_one(lab, tmp_path, capsys):
    path = tmp_path / "bound.json"
    path.write_text(json.dumps({
        "schema": 1, "engine": {"engine": "vllm"}, "load": {"streams": 8},
        "bound": {"most": 0.05, "settled": True},
    }))  # fmt: skip
    assert cli.run(["cost", FLEET, lab, "--bound", str(path), "--json"]) == 0
    [kernel] = json.loads(capsys.readouterr().out)["kernels"]
    assert kernel["priced"] is False
    assert kernel["at_most"]["is"] == "a bound, not an estimate"
    assert kernel["at_most"]["per_year"] == pytest.approx(0.05 * 176_796.39)
    cli.run(["cost", FLEET, lab, "--bound", str(path)])
    assert "A BOUND, NOT AN ESTIMATE" in " ".join(capsys.readouterr().out.split())


def test_a_page_and_markdown_escape_what_is_not_ours(lab, tmp_path, capsys):
    page = tmp_path / "cost.html"
    assert cli.run(["cost", FLEET, lab, "--html", str(page), "--markdown"]) == 0
    markdown = capsys.readouterr().out
    assert "7.2\\<b\\>\\|x" in markdown
    html = page.read_text()
    assert "7.2&lt;b&gt;|x" in html
    assert "<b>|x" not in html
    assert "<script" not in html
    assert re.findall(r'(?:src|href)="(?!#|data:)', html) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["cost"], "Missing argument 'FLEET'"),
        (["cost", "/nope.toml"], "cannot read the fleet"),
        (["cost", FLEET, "nope"], "No run 'nope'"),
        (["cost", FLEET, "--bound", "/nope.json"], "cannot read the bound"),
        (["cost", FLEET, "--html", "/nope/x.html"], "directory does not exist"),
        (["cost", FLEET, "--vary", "0"], "--vary"),
    ],
)
def test_wrong_input_ends_with_2(args, said, capsys):
    assert cli.run(args) == 2
    streams = capsys.readouterr()
    assert said in streams.err
    assert streams.out == ""


def test_a_metric_that_is_not_there(faster, capsys):
    assert cli.run(["cost", FLEET, faster, "--metric", "x/*"]) == 2
    assert RATE.name in capsys.readouterr().err


def test_figures_have_the_digits_that_matter():
    assert [amount(v) for v in (176_796.39, 12.3456, 0.28279, 0, -2123.1, float("nan"))] == [
        "176,796", "12.35", "0.2828", "0", "\N{MINUS SIGN}2,123", "n/a",
    ]  # fmt: skip
    assert [difference(v) for v in (5.0, -5.0, 0.0)] == ["+5.000", "\N{MINUS SIGN}5.000", "0"]
    assert [days(v) for v in (195.2, 3285.0, 73_000.0, float("inf"))] == [
        "195 days", "9.0 years", "200 years", "never",
    ]  # fmt: skip
    assert days(-225.4) == "\N{MINUS SIGN}225 days"
    assert payback(Figure(10, 5, float("inf"))) == "10 days (5 days to never)"
    assert with_interval(Figure(1.5, 1.5, 1.5)) == "1.500"


def test_a_report_with_a_fleet_says_what_it_is_worth(faster, tmp_path, capsys):
    page = tmp_path / "report.html"
    cli.run(["report", faster, "--fleet", FLEET, "--html", str(page)])
    assert "What each kernel is worth" in capsys.readouterr().out
    html = page.read_text()
    assert '<section id="kernels">' in html
    cli.run(["report", faster, "--html", str(page)])
    assert "What each kernel is worth" not in capsys.readouterr().out
    assert 'id="kernels"' not in page.read_text()


def test_a_policy_holds_what_does_not_pay_back_in_time(faster, tmp_path, capsys):
    """Fully loaded 7.2 pays back in a quarter; marginal in years, and the patched one never."""
    policy, loaded = tmp_path / "p.toml", tmp_path / "loaded.toml"
    policy.write_text('grades = ["timed"]\n[primary]\nmetrics = ["*/tokens_per_second"]\n'
                      "[cost]\npays_back_days = 120\n")  # fmt: skip
    loaded.write_text(Path(FLEET).read_text().replace('accounting = "marginal"',
                                                      'accounting = "fully loaded"'))  # fmt: skip

    def verdicts(fleet: str) -> dict[str, list[str]]:
        cli.run(["report", faster, "--policy", str(policy), "--fleet", fleet, "--json", "-"])
        document = json.loads(capsys.readouterr().out)
        return {v["arm"]: [r["rule"] for r in v["reasons"]] for v in document["verdict"]}

    assert "cost.pays_back_days" in verdicts(FLEET)["7.2"]
    assert "cost.pays_back_days" not in verdicts(str(loaded))["7.2"]
