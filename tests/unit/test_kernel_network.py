"""The real archive: resolved, fetched, and then done without."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernleap import kernel
from kernleap.kernel import parse_ref
from kernleap.kernel.sources.debian import current_index
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import Arch

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A cache of its own with the newest 7.2 in it; skipped where the archive is out of reach."""
    root = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNLEAP_CACHE", str(root))
        patch.delenv("KERNLEAP_OFFLINE", raising=False)
        try:
            current_index(Arch.AMD64, kernel.KernelCache())
        except InfrastructureError as error:
            pytest.skip(f"the archive is out of reach: {error.what}")
        image = kernel.obtain(parse_ref("debian:7.2"), arch=Arch.AMD64)
        yield image


def test_the_machines_own_apt_state_stays_as_it_is(warm):
    """With the machine's real configuration, hooks and all."""
    roots = [p for p in ("/var/lib/apt", "/var/cache/apt", "/etc/apt") if Path(p).is_dir()]

    def snapshot():
        paths = [
            Path(root, name) for root in roots for name in ["", *map(str, Path(root).iterdir())]
        ]
        return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in paths}

    before = snapshot()
    _, notes = current_index(Arch.AMD64, kernel.KernelCache(), max_age_s=0)
    assert notes == ()  # it really was refreshed
    assert snapshot() == before


def test_the_newest_of_a_series_boots_by_its_looks(warm):
    assert warm.release.startswith("7.2.")
    assert warm.release.endswith("-cloud-amd64")
    assert warm.kconfig is not None
    assert "CONFIG_SCHED_CACHE=" in warm.kconfig.read_text()
    assert len(warm.vmlinuz.read_bytes()) > 5_000_000


def test_offline_and_fast_with_a_warm_cache(warm):
    code = (
        "import time; from kernleap import kernel; from kernleap.model.kernel import Arch\n"
        "from kernleap.kernel import parse_ref\n"
        "start = time.perf_counter()\n"
        "image = kernel.obtain(parse_ref('debian:7.2'), arch=Arch.AMD64, offline=True)\n"
        "print(image.sha256, time.perf_counter() - start)\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    sha256, seconds = done.stdout.split()
    assert sha256 == warm.sha256
    assert float(seconds) < 1.0
    assert time.monotonic() - started < 10


def test_an_older_shape(warm):
    image = kernel.obtain(parse_ref("debian:6.1"), arch=Arch.AMD64)
    assert image.provenance.package.startswith("linux-image-6.1.0-")
    assert image.kconfig is not None


def test_the_commands(warm, checkout):
    code = "from kernleap.cli.kernels import command; command()"
    run = [sys.executable, "-c", code]
    listed = subprocess.run([*run, "list", "--json"], check=True, capture_output=True, text=True)
    kernels = json.loads(listed.stdout)["kernels"]
    assert {"7.0", "7.2", "6.12"} <= {entry["series"] for entry in kernels}
    assert [e["release"] for e in kernels if e["series"] == "7.2"] == [warm.release]
    shown = subprocess.run(
        [*run, "show", "debian:7.2", "--json"], check=True, capture_output=True, text=True
    )
    facts = json.loads(shown.stdout)
    assert facts["sha256"] == warm.sha256
    named = {row["name"]: row["value"] for row in facts["config_highlights"]}
    assert named["cache-aware scheduling"] == "y"
    assert "gcc" in named["compiler"]
