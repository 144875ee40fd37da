"""Debian's archive behaving badly: a real apt against a small archive on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernel_packages import Archive, bzimage, deb, machine_with, served
from kernleap import kernel
from kernleap.kernel import KernelCache, obtain_by_digest, parse_ref
from kernleap.kernel.listing import list_kernels
from kernleap.kernel.sources import debian
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel import Arch
from kernleap.model.run import ArmInputs

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="there is no apt here")

NEWEST, OLDER = "7.2.13+deb13-cloud-amd64", "7.2.12+deb13-cloud-amd64"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive with two kernels of 7.2, and a machine whose apt knows it."""
    archive = Archive()
    archive.add_kernel("trixie", NEWEST, "7.2.13-1")
    archive.add_kernel("trixie-backports", OLDER, "7.2.12-1~bpo13+1")
    with served(archive):
        for key, value in machine_with(archive, tmp_path).items():
            monkeypatch.setenv(key, value)
        yield archive


def path_of(archive: Archive, release: str) -> str:
    return next(
        p for p in archive.files if p.startswith(f"pool/main/l/linux/linux-image-{release}")
    )


def obtain(text: str, offline: bool = False):
    return kernel.obtain(parse_ref(text), arch=Arch.AMD64, offline=offline)


def objects() -> list[Path]:
    root = KernelCache().root
    return [
        p for name in ("objects", "records", "tmp") for p in (root / name).rglob("*") if p.is_file()
    ]


def test_newest_of_a_series_with_its_provenance(archive):
    image = obtain("debian:7.2")
    assert image.release == NEWEST
    assert image.kconfig is not None
    assert NEWEST in image.kconfig.read_text()
    assert image.provenance.package == f"linux-image-{NEWEST}"
    assert (image.provenance.version, image.provenance.suite) == ("7.2.13-1", "trixie")
    assert image.provenance.path == f"boot/vmlinuz-{NEWEST}"
    assert len(image.provenance.package_sha256) == 64


def test_progress_is_told_and_ends_at_the_total(archive):
    told = []
    kernel.obtain(
        parse_ref("debian:7.2"), arch=Arch.AMD64, progress=lambda *state: told.append(state)
    )
    size = len(archive.files[path_of(archive, NEWEST)])
    assert told[0] == ("index of Debian's kernels", 0, 0)
    assert told[-1] == (f"linux-image-{NEWEST}", size, size)


def test_a_second_time_nothing_is_asked_of_anyone(archive, monkeypatch):
    first = obtain("debian:7.2")
    count = len(archive.requests)
    monkeypatch.setenv("PATH", "/nonexistent")  # not even apt
    assert obtain("debian:7.2") == first
    assert len(archive.requests) == count


def test_listed_but_not_served_falls_back_and_says_so(archive):
    del archive.files[path_of(archive, NEWEST)]
    image = obtain("debian:7.2")
    assert image.release == OLDER
    assert image.notes == (f"{NEWEST} is listed, but not served by the mirror",)
    downloads = archive.downloads()
    assert obtain("debian:7.2").notes == image.notes
    assert archive.downloads() == downloads  # it is not asked for again until the index changes


def test_a_full_release_has_no_stand_in(archive):
    del archive.files[path_of(archive, NEWEST)]
    with pytest.raises(InfrastructureError, match="can be downloaded"):
        obtain(f"debian:{NEWEST}")


def test_nothing_served_at_all(archive):
    for release in (NEWEST, OLDER):
        del archive.files[path_of(archive, release)]
    with pytest.raises(InfrastructureError, match="can be downloaded") as caught:
        obtain("debian:7.2")
    assert OLDER in str(caught.value)


def test_a_tampered_download(archive):
    path = path_of(archive, NEWEST)
    archive.files[path] = archive.files[path][:-1] + b"!"
    with pytest.raises(InfrastructureError, match="does not match the signed index"):
        obtain("debian:7.2")
    assert objects() == []


def test_a_download_that_breaks_off(archive):
    archive.cut.add(path_of(archive, NEWEST))
    with pytest.raises(InfrastructureError, match="a download failed") as caught:
        obtain("debian:7.2")
    assert path_of(archive, NEWEST) in str(caught.value)
    assert objects() == []
    archive.cut.clear()
    assert obtain("debian:7.2").release == NEWEST


def test_bytes_are_checked_even_if_apt_let_them_pass(archive, monkeypatch):
    obtain(f"debian:{OLDER}")

    def careless(self, uri, sha256, target, progress=None):
        target.write_bytes(archive.files[path_of(archive, OLDER)])

    monkeypatch.setattr(debian.PrivateApt, "download", careless)
    before = objects()
    with pytest.raises(TamperedError, match="does not match the signed index"):
        obtain("debian:7.2")
    assert objects() == before


def test_a_hostile_package_of_the_archive(archive):
    release = "7.2.14+deb13-cloud-amd64"
    archive.add("trixie", f"linux-image-{release}", "7.2.14-1", deb([("../x", b"x")]))
    with pytest.raises(TamperedError, match="leads out of it") as caught:
        obtain("debian:7.2")
    assert f"linux-image-{release} 7.2.14-1" in str(caught.value)
    assert objects() == []


def test_a_package_whose_kernel_calls_itself_something_else(archive):
    release = "7.2.14+deb13-cloud-amd64"
    data = deb([(f"boot/vmlinuz-{release}", bzimage("6.6.6"))])
    archive.add("trixie", f"linux-image-{release}", "7.2.14-1", data)
    with pytest.raises(TamperedError, match=r"calls itself 6\.6\.6"):
        obtain("debian:7.2")
    assert objects() == []


def test_the_shape_of_several_packages(archive):
    release = "7.3.4+deb13-cloud-amd64"
    modules = f"usr/lib/modules/{release}"
    for name, files in {
        "image": [("usr/share/doc/x", b"x")],
        "binary": [(f"{modules}/vmlinuz", bzimage(release))],
        "base": [(f"{modules}/config", b"CONFIG_HZ=1000\n")],
    }.items():
        archive.add("trixie", f"linux-{name}-{release}", "7.3.4-1", deb(files))
    image = obtain("debian:7.3")
    assert image.provenance.package == f"linux-binary-{release}"
    assert image.kconfig is not None
    assert image.kconfig.read_text() == "CONFIG_HZ=1000\n"


def test_a_configuration_that_is_not_served_is_done_without(archive):
    release = "7.3.4+deb13-cloud-amd64"
    modules = f"usr/lib/modules/{release}"
    archive.add(
        "trixie",
        f"linux-binary-{release}",
        "7.3.4-1",
        deb([(f"{modules}/vmlinuz", bzimage(release))]),
    )
    base = archive.add("trixie", f"linux-base-{release}", "7.3.4-1", deb([("x", b"")]))
    del archive.files[base]
    image = obtain("debian:7.3")
    assert image.kconfig is None
    assert image.notes == ("its configuration is listed, but not served by the mirror",)


def test_offline_with_a_warm_cache(archive):
    image = obtain("debian:7.2")
    count = len(archive.requests)
    assert obtain("debian:7.2", offline=True) == image
    with pytest.raises(InfrastructureError, match="stay offline"):
        obtain(f"debian:{OLDER}", offline=True)
    with pytest.raises(InfrastructureError, match="stay offline"):
        obtain("debian:6.1", offline=True)
    assert len(archive.requests) == count


def test_offline_the_newest_cached_stands_in(archive, monkeypatch):
    obtain(f"debian:{OLDER}")
    monkeypatch.setenv("KERNLEAP_OFFLINE", "1")
    image = obtain("debian:7.2")
    assert image.release == OLDER
    assert image.notes == (f"offline: {OLDER} stands in for {NEWEST}",)


def test_offline_with_an_empty_cache(archive):
    with pytest.raises(InfrastructureError, match="stay offline") as caught:
        obtain("debian:7.2", offline=True)
    assert "kernleap kernels fetch debian:7.2" in str(caught.value)
    assert archive.requests == []


def age_index(seconds: float) -> None:
    path = KernelCache().root / "index" / "debian-amd64.json"
    raw = json.loads(path.read_text())
    raw["made"] = time.time() - seconds
    path.write_text(json.dumps(raw))


def test_the_index_is_refreshed_daily_and_when_a_name_is_unknown(archive):
    obtain("debian:7.2")
    archive.add_kernel("trixie", "7.2.14+deb13-cloud-amd64", "7.2.14-1")
    assert obtain("debian:7.2").release == NEWEST  # the index is fresh
    archive.add_kernel("trixie", "7.9.1+deb14-cloud-amd64", "7.9.1-1")
    with pytest.raises(UsageError, match=r"no kernel `7\.9`"):
        obtain("debian:7.9")  # fresh: not asked again
    age_index(3600)
    assert obtain("debian:7.2").release == NEWEST  # an hour is fresh enough for a known name
    assert obtain("debian:7.9").release == "7.9.1+deb14-cloud-amd64"
    age_index(25 * 3600)
    assert obtain("debian:7.2").release == "7.2.14+deb13-cloud-amd64"


def test_an_old_index_is_used_when_the_mirror_is_away(archive):
    obtain("debian:7.2")
    age_index(25 * 3600)
    kept = dict(archive.files)
    archive.files.clear()
    shutil.rmtree(KernelCache().root / "apt")
    image = obtain("debian:7.2")
    archive.files.update(kept)
    assert image.release == NEWEST
    assert "refreshing it failed" in image.notes[0]


def test_what_the_archive_has_forgotten_is_still_in_the_cache(archive):
    image = obtain(f"debian:{OLDER}")
    archive.suites["trixie-backports"].clear()
    archive.add_kernel("trixie-backports", "7.1.1+deb13-cloud-amd64", "7.1.1-1")
    age_index(25 * 3600)
    assert obtain(f"debian:{OLDER}").sha256 == image.sha256
    listed = {k.release: k for k in list_kernels(Arch.AMD64, every=True).kernels}
    assert listed[OLDER].cached
    assert listed[OLDER].suite == ""


def test_a_damaged_cache_heals_itself(archive):
    code = (
        "from kernleap import kernel; from kernleap.model.kernel import Arch;"
        "i = kernel.obtain(kernel.parse_ref('debian:7.2'), arch=Arch.AMD64);"
        "print(i.vmlinuz, *i.notes)"
    )
    argv = [sys.executable, "-c", code]
    first = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    whole = Path(first).read_bytes()
    Path(first).write_bytes(whole[:-1] + b"!")
    again = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    assert again == f"{first} the cached copy was damaged, and is fetched again"
    assert Path(first).read_bytes() == whole


def test_two_processes_at_once_download_once(archive):
    code = (
        "from kernleap import kernel; from kernleap.model.kernel import Arch;"
        "i = kernel.obtain(kernel.parse_ref('debian:7.2'), arch=Arch.AMD64);"
        "print(i.sha256, i.vmlinuz.stat().st_size)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert len(said) == 1
    assert archive.downloads() == [path_of(archive, NEWEST)]
    assert sum(path == "dists/trixie/main/binary-amd64/Packages" for path in archive.requests) == 1


def test_by_digest(archive, tmp_path, monkeypatch):
    image = obtain(f"debian:{OLDER}")
    fields = type(image.provenance).__dataclass_fields__
    inputs = ArmInputs(
        "baseline",
        image.release,
        image.sha256,
        {name: getattr(image.provenance, name) for name in fields},
    )
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "another"))
    again = obtain_by_digest(inputs, Arch.AMD64)
    assert (again.sha256, again.release) == (image.sha256, OLDER)
    assert obtain_by_digest(inputs, Arch.AMD64, offline=True) == again


def test_an_archive_that_is_not_debians(tmp_path, monkeypatch):
    archive = Archive(origin="Vendor")
    archive.add_kernel("trixie", NEWEST, "7.2.13-1")
    with served(archive):
        for key, value in machine_with(archive, tmp_path).items():
            monkeypatch.setenv(key, value)
        with pytest.raises(InfrastructureError, match="no index of Debian's archive"):
            obtain("debian:7.2")
    assert archive.downloads() == []


def test_an_unsigned_archive_is_refused_unless_the_machine_trusts_it(tmp_path, monkeypatch):
    archive = Archive()
    archive.add_kernel("trixie", NEWEST, "7.2.13-1")
    with served(archive):
        for key, value in machine_with(archive, tmp_path).items():
            monkeypatch.setenv(key, value)
        (tmp_path / "machine-sources" / "a.list").write_text(f"deb {archive.uri} trixie main\n")
        with pytest.raises(InfrastructureError, match="no index of Debian's archive"):
            obtain("debian:7.2")
    assert archive.downloads() == []


def test_a_machine_that_knows_no_debian(tmp_path, monkeypatch):
    archive = Archive(uri="http://127.0.0.1:1/ubuntu")
    for key, value in machine_with(archive, tmp_path, suite="noble").items():
        monkeypatch.setenv(key, value)
    with pytest.raises(InfrastructureError, match="apt sources name none") as caught:
        obtain("debian:7.2")
    assert "KERNLEAP_DEBIAN_MIRROR" in str(caught.value)


def test_a_machine_without_apt(archive, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfrastructureError, match="this machine has none"):
        obtain("debian:7.2")


def snapshot(*roots: str) -> dict[str, tuple[int, int, int]]:
    found = {}
    for root in roots:
        for directory, _, names in os.walk(root):
            for name in ["", *names]:
                path = Path(directory, name)
                stat = path.lstat()
                found[str(path)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


def test_the_machines_own_apt_state_stays_as_it_is(archive, tmp_path):
    roots = ("/var/lib/apt", "/var/cache/apt", "/etc/apt", "/var/lib/dpkg", "/var/log/apt")
    before = snapshot(*roots)
    obtain("debian:7.2")
    assert snapshot(*roots) == before
    assert not (tmp_path / "hook-ran").exists()
