"""Trade-offs: what beats what, and what nobody can say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap import cli
from kernleap.cost.fleet_file import load as load_fleet
from kernleap.cost.pareto import Span, dominates, dominators
from kernleap.cost.tradeoff import tradeoff
from kernleap.judge import judge
from kernleap.judge.policy import load
from kernleap.kernel.ref import parse_ref as parse
from kernleap.model.risk import RiskSummary
from kernleap.report import tradeoff as view
from kernleap.report.section_text import text
from kernleap.store import RunStore
from timed_run import counted, run_of, scattered, timed

FLEET = Path(__file__).resolve().parents[2] / "examples/fleet.toml"
RATE, TAIL, ITL = timed("tokens_per_second"), timed("ttft_p99"), timed("itl_p99")
KNOB = "host+sysctl:net.core.busy_poll=50"
BOOT = "host+cmdline:mitigations=off"
REFS = {name: parse(name) for name in ("host", KNOB, BOOT)}


def here(seed: int = 0, **factors: tuple[float, float]):
    """A run of `host`, the knob and the boot parameter: (throughput, p99) factors of each."""
    wanted = {"host": (1.0, 1.0), KNOB: factors["knob"], BOOT: factors["boot"]}
    arms = {
        name: {
            RATE: scattered(1000 * rate, seed=seed + 3 * n),
            TAIL: scattered(80 * tail, seed=seed + 3 * n + 1),
        }
        for n, (name, (rate, tail)) in enumerate(wanted.items())
    }
    return run_of(arms, refs=REFS, digests=dict.fromkeys(arms, "k" * 64))


def rows(*runs, fleet=None, risks=None, **options):
    judged = [(judge(run, load()), risks or {}) for run in runs]
    return tradeoff(judged, fleet=fleet, **options)


def by_name(table):
    return {option.label: option for option in table.options}


def test_better_in_one_and_no_worse_in_all_wins():
    [table] = rows(here(knob=(1.05, 1.0), boot=(1.02, 1.0)))
    found = by_name(table)
    assert found[KNOB].dominates == (BOOT,)
    assert found[KNOB].standing == "better"
    assert found[BOOT].dominated_by == (KNOB,)
    assert found["host"].standing == "open"  # takes no effort, which the others cannot beat


def test_a_worse_tail_is_a_trade_and_no_win():
    [table] = rows(here(knob=(1.05, 1.20), boot=(1.02, 1.0)))
    assert {o.standing for o in table.options} == {"open"}


def test_the_baseline_beats_what_is_slower():
    [table] = rows(here(knob=(0.95, 1.05), boot=(1.05, 1.0)))
    found = by_name(table)
    assert found[KNOB].dominated_by == ("host",)
    assert found["host"].dominates == (KNOB,)


def test_wide_intervals_prove_nothing():
    arms = {
        "host": {RATE: scattered(1000, 0.10)},
        KNOB: {RATE: scattered(1030, 0.10, seed=4)},
        BOOT: {RATE: scattered(990, 0.10, seed=9)},
    }
    [table] = rows(run_of(arms, refs=REFS))
    assert {o.standing for o in table.options} == {"open"}


def test_unknown_is_not_zero():
    """The knob was not timed at its tail: as fast as it is, nothing is proved."""
    arms = {
        "host": {RATE: scattered(1000), TAIL: scattered(80, seed=1)},
        KNOB: {RATE: scattered(1100, seed=2)},
        BOOT: {RATE: scattered(1020, seed=3), TAIL: scattered(80, seed=4)},
    }
    [table] = rows(run_of(arms, refs=REFS))
    assert by_name(table)[KNOB].standing == "open"
    assert by_name(table)[KNOB].tail is None


def test_effort_is_a_knob_a_reboot_or_patches():
    fleet = load_fleet(FLEET)
    [table] = rows(here(knob=(1.0, 1.0), boot=(1.0, 1.0)), fleet=fleet)
    found = by_name(table)
    assert found["host"].effort.hours == 0
    assert (found[KNOB].effort.kind, found[KNOB].effort.hours) == ("set while running", 24)
    assert found[BOOT].effort.kind == "reboot"
    assert found[BOOT].effort.hours == pytest.approx(24.8)
    patched = {"7.0": {RATE: scattered(1000)}, "tree:x": {RATE: scattered(1000, seed=2)}}
    [table] = rows(run_of(patched, refs={"tree:x": parse("tree:x")}), fleet=fleet)
    assert by_name(table)["tree:x"].effort.hours == pytest.approx(24.8 + 90)
    [table] = rows(run_of(patched, refs={"tree:x": parse("tree:x")}))
    assert by_name(table)["tree:x"].effort.hours is None


def test_bill_and_energy_need_a_fleet_and_timed_evidence():
    fleet = load_fleet(FLEET)
    [table] = rows(here(knob=(1.05, 1.0), boot=(1.0, 1.0)), fleet=fleet)
    knob = by_name(table)[KNOB]
    swing = (6 * 0.45 * 1500 + 2 * 0.3 * 560) * 1.3 * 8.76 * 0.21
    assert knob.per_year.value == pytest.approx(-swing * (1 - 1 / 1.05))
    assert knob.energy[1] == "derived"
    assert knob.energy[0].value < 1
    [table] = rows(run_of({"7.0": {counted(): scattered(100)},
                           "7.2": {counted(): scattered(90, seed=2)}}), fleet=fleet)  # fmt: skip
    lab = by_name(table)["7.2"]
    assert (lab.bill, lab.energy, lab.gain) == (None, None, None)
    assert lab.counted.ratio.value == pytest.approx(0.9)


def risk(arm: str, level: str) -> RiskSummary:
    return RiskSummary(arm, level, open_cves=3, eol="2027-01", extra_patches=0)


def test_risk_counts_and_an_unknown_one_keeps_a_row_open():
    run = here(knob=(1.0, 1.0), boot=(1.05, 1.0))
    low = {name: risk(name, "low") for name in REFS}
    assert by_name(rows(run, risks=low)[0])[BOOT].standing == "open"  # a reboot against a knob
    arms = {"host": {RATE: scattered(1000)}, BOOT: {RATE: scattered(1050, seed=2)},
            "host+cmdline:nosmt": {RATE: scattered(1050, seed=2)}}  # fmt: skip
    refs = {name: parse(name) for name in arms}

    def standing(level: str) -> str:
        risks = {"host": risk("host", "low"), BOOT: risk(BOOT, level),
                 "host+cmdline:nosmt": risk("host+cmdline:nosmt", "moderate")}  # fmt: skip
        table = rows(run_of(arms, refs=refs), risks=risks)[0]
        return by_name(table)[BOOT].standing

    assert standing("low") == "better"
    assert standing("high") == "dominated"
    assert standing("unknown") == "open"


def test_runs_of_one_baseline_share_a_table_and_nothing_is_pooled():
    timed_run = run_of({"7.0": {RATE: scattered(1000)}, "7.2": {RATE: scattered(1050, seed=2)}})
    lab = run_of({"7.0": {counted(): scattered(100)}, "7.2": {counted(): scattered(92, seed=2)}},
                 name="lab-1")  # fmt: skip
    [table] = rows(timed_run, lab)
    assert [o.label for o in table.options] == ["7.0", "7.2"]
    assert table.options[1].gain.ratio.value == pytest.approx(1.05)
    assert table.options[1].counted.ratio.value == pytest.approx(0.92)
    again = run_of({"7.0": {RATE: scattered(1000)}, "7.2": {RATE: scattered(1010, seed=5)}},
                   name="timed-2")  # fmt: skip
    [table] = rows(timed_run, again)
    assert [o.label for o in table.options] == ["7.0", "7.2", "7.2 (timed-2)"]
    other = run_of({"6.12": {RATE: scattered(1000)}, "7.2": {RATE: scattered(1050, seed=2)}},
                   digests={"6.12": "f" * 64})  # fmt: skip
    assert [t.baseline for t in rows(timed_run, other)] == ["7.0", "6.12"]


def stored(run) -> str:
    store = RunStore.create(run.plan, {})
    for record in run.records:
        store.write(record)
    return str(store.path)


def test_the_command_prints_the_table_in_every_form(tmp_path, capsys):
    other = "host+sysctl:net.core.busy_read=50"
    factors = {"host": 1.0, KNOB: 1.05, other: 1.02}
    arms = {name: {RATE: scattered(1000 * f, seed=n)}
            for n, (name, f) in enumerate(factors.items())}  # fmt: skip
    run = stored(run_of(arms, refs={name: parse(name) for name in arms}))
    assert cli.run(["tradeoff", run, "--fleet", str(FLEET)]) == 0
    out = capsys.readouterr().out
    assert f"better than {other}" in out
    assert "EUR a year, marginal" in out
    assert "The risk of no row is known" in out
    assert cli.run(["tradeoff", run, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    [table] = document["tables"]
    assert [o["standing"] for o in table["options"]] == ["open", "better", "dominated"]
    assert table["options"][1]["throughput"]["grade"] == "timed"
    assert table["options"][1]["per_year"] is None
    page = tmp_path / "t.html"
    assert cli.run(["tradeoff", run, "--markdown", "--html", str(page)]) == 0
    assert "| kernel | " in capsys.readouterr().out
    assert "Trade-offs against host" in page.read_text()
    assert cli.run(["tradeoff", "nope"]) == 2


def test_a_terminal_without_unicode_gets_ascii():
    tables = rows(here(knob=(0.95, 1.0), boot=(1.0, 1.0)))
    page = text(view.sections(tables, None, 0.01), ascii_only=True)
    assert page.isascii()
    assert "-5.00 %" in page


def test_a_table_too_wide_is_shown_line_by_line():
    sections = view.sections(rows(here(knob=(1.05, 1.0), boot=(1.0, 1.0))), None, 0.01)
    narrow, wide = text(sections, width=80, widest=80), text(sections)
    assert f"\n  {KNOB}\n    throughput [timed]      +5.00 %" in narrow
    assert max(map(len, narrow.splitlines())) <= 110
    assert f"\n  {KNOB}  +5.00 %" in wide


SPANS = st.builds(
    lambda low, width, slack: Span(low, low + width, slack),
    st.floats(0.5, 2), st.floats(0, 0.5), st.sampled_from([0.0, 0.01]),
)  # fmt: skip
OPTIONS = st.dictionaries(st.sampled_from("abc"), st.none() | SPANS, max_size=3)


@given(OPTIONS, OPTIONS)
def test_dominance_is_never_mutual_nor_of_oneself(one, other):
    assert not dominates(one, one)
    assert not (dominates(one, other) and dominates(other, one))


@given(OPTIONS, OPTIONS, st.sampled_from("abc"))
def test_forgetting_never_proves_more(one, other, name):
    if not dominates(one, other):
        assert not dominates(one | {name: None}, other)


def test_every_criterion_of_the_table_counts_for_every_row():
    a, b, c = ({"x": Span(v, v)} for v in (1.0, 2.0, 3.0))
    assert dominators([a, b, c]) == ((), (0,), (0, 1))
    assert dominators([a, b | {"y": Span(1, 1)}, c]) == ((), (), ())
    assert dominators([a | {"y": None}, b | {"y": None}, c]) == ((), (0,), (0, 1))
