"""Energy counters: what is found, what is added, what wraps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernleap.probe.energy import Counter, EnergyMeters, energy_meters

MOST = 262_143_328_850


def zone(root: Path, directory: str, name: str, energy: int | str, most: int = MOST) -> Path:
    path = root / directory
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


@pytest.fixture
def two_sockets(tmp_path):
    """As a server with two packages shows them, all zones side by side."""
    for socket in (0, 1):
        zone(tmp_path, f"intel-rapl:{socket}", f"package-{socket}", 1_000_000 * (socket + 1))
        zone(tmp_path, f"intel-rapl:{socket}:0", "core", 900_000)
        zone(tmp_path, f"intel-rapl:{socket}:1", "dram", 10_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 77)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    (tmp_path / "intel-rapl").mkdir()
    (tmp_path / "dtpm").mkdir()
    return tmp_path


def set_energy(root: Path, directory: str, value: int) -> None:
    (root / directory / "energy_uj").write_text(f"{value}\n")


def test_packages_and_memory_are_added_and_nothing_twice(two_sockets):
    meters = energy_meters(two_sockets, gpus=False)
    assert [c.name for c in meters.counters] == [
        "cpu package-0", "cpu package-0 dram", "cpu package-1", "cpu package-1 dram",
    ]  # fmt: skip
    assert meters.missing == ()
    before = meters.sample()
    set_energy(two_sockets, "intel-rapl:0", 3_500_000)
    set_energy(two_sockets, "intel-rapl:1:1", 10_250_000)
    set_energy(two_sockets, "intel-rapl:0:0", 2_000_000)  # the cores: part of their package
    used = meters.between(before, meters.sample(), 1.0)
    assert used == {
        "cpu package-0": 2.5, "cpu package-0 dram": 0.0,
        "cpu package-1": 0.0, "cpu package-1 dram": 0.25,
    }  # fmt: skip


def test_a_counter_that_began_again_is_followed(two_sockets):
    meters = energy_meters(two_sockets, gpus=False)
    set_energy(two_sockets, "intel-rapl:0", MOST - 1_000_000)
    before = meters.sample()
    set_energy(two_sockets, "intel-rapl:0", 4_000_000)
    used = meters.between(before, meters.sample(), 5.0)
    assert used["cpu package-0"] == pytest.approx(5.0)


def test_a_span_in_which_it_may_have_wrapped_twice_gives_nothing():
    counter = Counter("cpu package-0", lambda: 0, 65_532_610_987)
    assert counter.used(10, 20, 60.0) == pytest.approx(1e-5)
    assert counter.used(10, 20, 66.0) is None


def test_a_counter_without_a_range_that_runs_backwards_gives_nothing():
    gpu = Counter("gpu 0", lambda: 0)
    assert gpu.used(5_000_000, 9_000_000, 1e6) == 4.0
    assert gpu.used(9_000_000, 5_000_000, 1.0) is None


def test_what_is_not_there_is_said(tmp_path):
    meters = energy_meters(tmp_path, gpus=False)
    assert meters.counters == ()
    assert "no energy counters" in meters.missing[0]
    zone(tmp_path, "intel-rapl:0", "package-0", "not a number")
    meters = energy_meters(tmp_path, gpus=False)
    assert meters.counters == ()
    assert "cannot be read" in meters.missing[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_counters_for_root_only_are_said_to_be(two_sockets):
    for path in two_sockets.glob("*/energy_uj"):
        path.chmod(0)
    meters = energy_meters(two_sockets, gpus=False)
    assert meters.counters == ()
    assert "root only" in meters.missing[0]


def test_a_counter_that_vanishes_leaves_no_figure(two_sockets):
    meters = energy_meters(two_sockets, gpus=False)
    before = meters.sample()
    (two_sockets / "intel-rapl:1" / "energy_uj").unlink()
    assert "cpu package-1" not in meters.between(before, meters.sample(), 1.0)


def test_this_machine_says_what_it_has():
    meters = energy_meters()
    assert meters.counters or meters.missing
    assert set(meters.sample()) <= {c.name for c in meters.counters}
    assert EnergyMeters(()).between({}, {}, 1.0) == {}
