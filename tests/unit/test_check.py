"""bin/check as a test, and proof that its import rules bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("part", ["format", "lint", "types", "imports", "native", "shell"])
def test_bin_check(checkout: Path, part: str) -> None:
    done = subprocess.run(
        [checkout / "bin" / "check", part], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "statement", "rule"),
    [
        ("model/kernel.py", "import kernleap.stats", "the model knows nothing of ours"),
        ("stats/__init__.py", "import kernleap.kernel", "statistics know only the model"),
        ("judge/__init__.py", "import kernleap.machine", "what judges never measures"),
        ("machine/__init__.py", "import kernleap.report", "what measures never interprets"),
        ("store/__init__.py", "import duckdb", "DuckDB lives in one file"),
        ("kernel/__init__.py", "import click", "only the command line"),
    ],
)
def test_import_rules_bite(
    checkout: Path, tmp_path: Path, module: str, statement: str, rule: str
) -> None:
    shutil.copytree(
        checkout / "src" / "kernleap",
        tmp_path / "kernleap",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    with (tmp_path / "kernleap" / module).open("a") as source:
        source.write(f"\n{statement}\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(line.startswith(rule) for line in broken), done.stdout
