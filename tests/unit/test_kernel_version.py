"""Versions: parsing, series, order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.model.version import (
    KernelVersion,
    is_series,
    parse_version,
    upstream_of,
    version_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.2", KernelVersion(7, 2)),
        ("7.2.12", KernelVersion(7, 2, 12)),
        ("7.3-rc7", KernelVersion(7, 3, 0, 7)),
        ("7.3~rc7", KernelVersion(7, 3, 0, 7)),
        ("7", None),
        ("7.2.12+deb13-cloud-amd64", None),
        ("linux", None),
    ],
)
def test_parse(text, expected):
    assert parse_version(text) == expected


def test_version_of_a_release_is_what_it_starts_with():
    assert str(version_of("7.2.12+deb13-cloud-amd64")) == "7.2.12"
    assert str(version_of("6.1.0-50-cloud-amd64")) == "6.1"
    assert version_of("next-2026") is None


@pytest.mark.parametrize(
    ("package", "upstream"),
    [
        ("7.2.12-1~bpo13+1", "7.2.12"),
        ("7.3~rc7-1~exp1", "7.3~rc7"),
        ("2:6.1.176-1", "6.1.176"),
    ],
)
def test_upstream_of(package, upstream):
    assert upstream_of(package) == upstream


def test_series():
    assert is_series("7.2")
    assert not is_series("7.2.1")
    assert KernelVersion(6, 19, 3).series == "6.19"


versions = st.builds(
    KernelVersion,
    st.integers(1, 9),
    st.integers(0, 30),
    st.integers(0, 300),
    st.none(),
)


@given(versions, versions)
def test_order_is_by_number_not_by_text(a, b):
    assert (a < b) == ((a.major, a.minor, a.patch) < (b.major, b.minor, b.patch))


@given(versions)
def test_round_trip(version):
    assert parse_version(str(version)) == version


def test_candidates_come_before_the_release():
    ordered = ["7.2.12", "7.3-rc1", "7.3-rc7", "7.3", "7.3.1", "7.10"]
    assert sorted(map(parse_version, reversed(ordered))) == list(map(parse_version, ordered))
