"""What all tests share: where things are, and which tests this machine can run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("kernleap", deadline=None)
settings.load_profile("kernleap")

# A shell without job control starts what it puts in the background with SIGINT ignored, and every
# child inherits that; Ctrl-C is tested here, so it must arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]

# A marked test needs one of these programs; without it the test is skipped, saying so.
PROGRAMS = {
    "boot": ("qemu-system-x86_64",),
    "boot_arm64": ("qemu-system-aarch64",),
    "browser": ("chromium", "chromium-browser", "google-chrome"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {
        marker: pytest.mark.skip(reason=f"{programs[0]} is not installed here")
        for marker, programs in PROGRAMS.items()
        if not any(map(shutil.which, programs))
    }
    for item in items:
        for marker, skip in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(autouse=True)
def runs_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's runs.

    The user's cache is used as it is: kernels and native artefacts in it are named by their
    digests, and to fetch and build them for each test would take minutes.
    """
    monkeypatch.setenv("KERNLEAP_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("KERNLEAP_STATE", str(tmp_path / "state"))
