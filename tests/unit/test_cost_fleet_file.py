"""Fleet files: every complaint names the key, the line and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernleap.cost.fleet import inputs, with_input
from kernleap.cost.fleet_file import load, read
from kernleap.model.errors import UsageError
from kernleap.model.units import quantity

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "examples/fleet.toml").read_text("utf-8")

SMALL = """\
currency = "USD"
discount = 0.08
[energy]
tariff = "0.11 USD/kWh"
pue = 1.4
[traffic]
utilisation = "50 %"
[[pool]]
name = "one"
servers = 3
price = "12000 USD"
life = "4 years"
idle = "200 W"
loaded = "0.6 kW"
throughput = "900 tokens/s"
"""


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_example_is_read_with_its_units():
    fleet = load(ROOT / "examples/fleet.toml")
    assert (fleet.servers, fleet.currency) == (8, "EUR")
    first, second = fleet.pool
    assert first.price_of_one.to("money") == 64_000
    assert first.loaded_of_one.to("W") == 2060
    assert second.utilisation == quantity(30, "%")
    low, high = fleet.ranges["energy", "tariff"]
    assert (low.to("money/kWh"), high.to("money/kWh")) == pytest.approx((0.15, 0.32))
    assert fleet.left_out == ()


def test_the_least_that_a_fleet_needs_and_what_it_leaves_out():
    fleet = read(SMALL, "f.toml")
    assert fleet.discount == quantity(8, "%")
    assert fleet.left_out == ("operations staff", "rack", "network", "software", "routine reboots")
    assert fleet.name == "f.toml"
    assert fleet.pool[0].rollout
    assert fleet.accounting == "marginal"


@pytest.mark.parametrize(
    ("old", "new", "said", "at", "fix"),
    [
        ('"0.6 kW"', "600", "600 has no unit, and loaded is power", "pool.1.loaded", '"420 W"'),
        ('"0.6 kW"', '"0.6 kWh"', "is energy, and loaded is power", "pool.1.loaded", '"420 W"'),
        ('"0.6 kW"', '"600 watts"', "unit 'watts' is not known", "pool.1.loaded", '"420 W"'),
        ('"0.6 kW"', "true", "must be a quantity", "pool.1.loaded", '"420 W"'),
        ('"0.6 kW"', '"150 W"', "loaded is less than idle", "pool.1.loaded", "swap"),
        ('"0.11 USD/kWh"', '"0.11 EUR/kWh"', "another currency than USD", "energy.tariff",
         '"0.21 USD/kWh"'),
        ('"0.11 USD/kWh"', '["0.2 USD/kWh", "0.1 USD/kWh", "0.3 USD/kWh"]',
         "must be [low, likely, high]", "energy.tariff", "rising order"),
        ('"0.11 USD/kWh"', '["0.1 USD/kWh"]', "must be [low, likely, high]", "energy.tariff",
         "three values"),
        ("pue = 1.4", "pue = 0.4", "pue = 0.4 is out of range", "energy.pue", "use 1 to 5"),
        ("pue = 1.4", "", "'pue' is missing", "energy.pue", "add pue = 1.3"),
        ("pue = 1.4", "pui = 1.4", "unknown key 'pui'", "energy.pui", "tariff, pue"),
        ("discount = 0.08", 'discount = "8 %/year"', "discount is a plain number", "discount",
         '"6 %"'),
        ('utilisation = "50 %"', "", "utilisation and demand are both missing",
         "traffic.utilisation", "give one"),
        ('utilisation = "50 %"', 'utilisation = "50 %"\ndemand = "1 Mtok/day"', "exclude each",
         "traffic.utilisation", "give one"),
        ('utilisation = "50 %"', 'utilisation = "140 %"', "out of range", "traffic.utilisation",
         "0.01 to 100 %"),
        ("servers = 3", "servers = 0", "out of range", "pool.1.servers", "use 1 to"),
        ("servers = 3", "servers = 2.5", "must be a whole number", "pool.1.servers", "servers = 1"),
        ("servers = 3", 'servers = 3\ngpu_price = "9 USD"', "GPU keys without GPUs", "pool.1.gpus",
         "gpus = 4"),
        ("servers = 3", "servers = 3\ngpus = 2", "'gpu_price' is missing", "pool.1.gpu_price",
         'gpu_price = "12000 USD"'),
        ('currency = "USD"', 'currency = "dollars"', "is no currency code", "currency", '"EUR"'),
        ("[[pool]]", "[[pools]]", "unknown key 'pools'", "pools", "pool"),
        ("[[pool]]", "[pool]", "must be an array of tables", "pool", "[[pool]]"),
        ("[traffic]", "[cloud]\n[traffic]", "[cloud] is empty", "cloud.price", "leave it out"),
        ("[traffic]", '[patched]\nrebase = "1 h"\nreleases_per_year = 9\n[traffic]',
         "[patched] needs what an hour of staff costs", "patched", "[staff]"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_key_line_and_fix(old, new, said, at, fix):
    text = SMALL.replace(old, new)
    assert text != SMALL
    with pytest.raises(UsageError) as caught:
        read(text, "f.toml")
    error = caught.value
    assert said in error.what
    assert error.where.startswith("f.toml, line ")
    assert error.where.endswith(f"key {at}")
    assert fix in error.next_step


def test_the_line_is_that_of_the_key_in_its_own_pool():
    second = SMALL[SMALL.index("[[pool]]") :].replace('"one"', '"two"')
    text = SMALL + second.replace('life = "4 years"', 'life = "4 month/year"')
    with pytest.raises(UsageError) as caught:
        read(text, "f.toml")
    line = line_of(text, "4 month/year")
    assert caught.value.where == f"f.toml, line {line}, key pool.2.life"
    with pytest.raises(UsageError, match="two pools are called 'one'") as caught:
        read(SMALL + SMALL[SMALL.index("[[pool]]") :], "f.toml")
    assert "key pool.1.name" in caught.value.where


def test_a_pool_cannot_have_its_own_utilisation_under_a_demand():
    text = SMALL.replace('utilisation = "50 %"', 'demand = "1 Mtok/day"')
    with pytest.raises(UsageError, match="exclude each other"):
        read(text + 'utilisation = "10 %"\n', "f.toml")


def test_no_servers_no_fleet():
    with pytest.raises(UsageError, match="there are no servers"):
        read(SMALL[: SMALL.index("[[pool]]")], "f.toml")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("absent", None, "cannot read the fleet"), ("broken", "a = [", "the fleet is not valid TOML")],
)
def test_files_that_cannot_be_read(tmp_path, name, text, said):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=said):
        load(path)


def test_every_input_can_be_moved_alone():
    fleet = read(EXAMPLE, "f.toml")
    for path, value in inputs(fleet).items():
        moved = with_input(fleet, path, value * 2)
        changed = {p for p, v in inputs(moved).items() if v != inputs(fleet)[p]}
        assert changed == ({path} if value.value else set())
