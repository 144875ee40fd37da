"""Fixtures of tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chromium import Browser, fresh_page, launched, program


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = program()
    if path is None:
        pytest.skip("chromium is not installed here")
    with launched(path, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A fresh page without anything of the one before."""
    with fresh_page(chromium) as page:
        yield page
