"""Cleaning what others wrote and formatting what was measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernleap.report import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (8242.0, "8,242"),
        (0.0, "0"),
        (-39.0, "−39"),
        (12.25, "12.25"),
        (2.5, "2.5"),
        (1234.56, "1,234.6"),
        (0.0031, "0.0031"),
        (1e18, "1e+18"),
        (math.nan, "n/a"),
        (math.inf, "n/a"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (1.1336, "+13.36 %"),
        (1.0, "0 %"),
        (0.9998, "−0.020 %"),
        (1.000001, "+<0.001 %"),
        (3.5, "+250 %"),
        (0.0, "−100 %"),
        (math.nan, "n/a"),
    ],
)
def test_changes(ratio: float, shown: str) -> None:
    assert text.percent(ratio) == shown


def test_an_interval_without_width_says_that_it_is_exact() -> None:
    assert text.interval(1.1336, 1.1336) == "1.1336 exactly"
    assert text.interval(0.9983, 1.0021) == "0.9983 to 1.0021"
    assert text.interval(math.nan, 1.0) == "n/a"


def test_a_ratio_near_one_keeps_the_digits_that_tell_it_from_one() -> None:
    assert text.ratio(1.000027) == "1.000027"
    assert text.ratio(1.0) == "1.0000"


def test_escape_sequences_and_direction_overrides_become_visible() -> None:
    assert text.clean("a\x1b[31mred\u202egnp.exe\n") == r"a\x1b[31mred\u202egnp.exe "


def test_a_console_keeps_its_last_lines() -> None:
    block = text.clean_block("first\n" * 5000 + "the panic\x07\n", limit=100)
    assert block.endswith("the panic\\x07")
    assert "first" in block
    assert len(block) < 200


@given(st.text(st.characters()), st.integers(1, 80))
def test_cleaned_text_is_printable_encodable_and_bounded(raw: str, limit: int) -> None:
    shown = text.clean(raw, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(st.text(st.characters()), st.integers(1, 300))
def test_cleaned_blocks_have_no_control_character_but_newlines(raw: str, limit: int) -> None:
    shown = text.clean_block(raw, limit)
    assert shown.replace("\n", "").isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(st.floats())
def test_every_float_has_a_text(value: float) -> None:
    for shown in (text.number(value), text.signed(value), text.percent(value), text.ratio(value)):
        assert shown
        assert "nan" not in shown
        assert "inf" not in shown


@given(st.text(min_size=1), st.integers(1, 40))
def test_shortened_text_keeps_its_start(raw: str, limit: int) -> None:
    short = text.shorten(raw, limit)
    assert len(short) <= limit
    if len(raw) > limit > 2:
        assert short[0] == raw[0]
        assert "…" in short
