"""The locks: complete, hashed, in step with pyproject.toml, and free of addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kernleap.guest.build import ZIG_VERSION

LOCKS = ("run.lock", "dev.lock", "uv.lock")


def pins(lock: Path) -> dict[str, list[tuple[str, int]]]:
    """Name -> [(pinned requirement, number of hashes)]; a name may be pinned per Python."""
    found: dict[str, list[tuple[str, int]]] = {}
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    for block in blocks:
        requirement = block.split("--hash", 1)[0].replace("\\", "").strip()
        name = canonicalize_name(Requirement(requirement).name)
        found.setdefault(name, []).append((requirement, block.count("--hash=sha256:")))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_hashed(checkout: Path, name: str) -> None:
    locked = pins(checkout / "requirements" / name)
    assert locked
    for requirements in locked.values():
        for requirement, hashes in requirements:
            assert re.search(r"==\d", requirement), requirement
            assert hashes > 0, requirement


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_is_locked(checkout: Path, name: str) -> None:
    text = (checkout / "requirements" / name).read_text()
    options = [line for line in text.splitlines() if line.startswith("-")]
    assert "://" not in text
    assert " @ " not in text
    assert options == []


def test_locks_answer_pyproject(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run = project["dependencies"] + extras["native"]
    for lock, wanted in (("run.lock", run), ("dev.lock", run + extras["dev"])):
        locked = pins(checkout / "requirements" / lock)
        for text in wanted:
            requirement = Requirement(text)
            for pinned, _ in locked[canonicalize_name(requirement.name)]:
                version = re.search(r"==([\w.]+)", pinned)
                assert version is not None
                assert requirement.specifier.contains(version.group(1)), f"{lock}: {text}"


def test_dev_lock_extends_run_lock(checkout: Path) -> None:
    run = pins(checkout / "requirements" / "run.lock")
    dev = pins(checkout / "requirements" / "dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_one_compiler_version_everywhere(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    pin = f"ziglang=={ZIG_VERSION}"
    assert pin in project["build-system"]["requires"]
    assert project["project"]["optional-dependencies"]["native"] == [pin]
    locked = pins(checkout / "requirements" / "run.lock")["ziglang"]
    assert [requirement for requirement, _ in locked] == [pin]
