"""An installed kernleap, far from any checkout: the command, and its native parts."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from kernleap.guest import build


def run(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command with neither this checkout nor the compiler's cache in its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KERNLEAP"))}
    environment["KERNLEAP_CACHE"] = str(cwd / "empty cache")
    environment["KERNLEAP_ZIG_CACHE"] = str(build.cache_dir() / "native" / "zig")
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_pip_install_gives_a_command_with_native_parts(checkout: Path, tmp_path: Path) -> None:
    # `pip install .` in its two steps, so that the second can go without the network: the
    # dependencies of the new environment are those of this one.
    build.build_all()
    run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
         "--wheel-dir", tmp_path, checkout],
        cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("kernleap-*.whl")
    assert wheel.stem.endswith(f"py3-none-linux_{os.uname().machine}")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith(".c")] == []
    assert [name for name in names if name.endswith("licenses/LICENSES/GPL-2.0-or-later.txt")]

    environment = tmp_path / "environment"
    run([sys.executable, "-m", "venv", "--without-pip", environment], cwd=tmp_path)
    python = environment / "bin" / "python"
    run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel],
        cwd=tmp_path,
    )
    (site,) = environment.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    helped = run([environment / "bin" / "kernleap", "--help"], cwd=tmp_path)
    assert "Usage: kernleap" in helped.stdout
    where = run(
        [python, "-c", "import kernleap; from kernleap.guest.build import build_guest\n"
         "print(kernleap.__file__, build_guest(), sep='\\n')"],
        cwd=tmp_path,
    )  # fmt: skip
    package, guest = map(Path, where.stdout.split("\n")[:2])
    assert package.parent == site / "kernleap"
    assert guest == site / "kernleap" / "_native" / "init-amd64"
    assert guest.read_bytes() == build.build_guest().read_bytes()
