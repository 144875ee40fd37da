"""Packages that lie, climb, bomb or break off: refused in words, and nothing is kept."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import tarfile

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel_packages import ar, bzimage, compress, deb, rpm, special, tar
from kernleap import kernel
from kernleap.archive import limits
from kernleap.kernel import KernelCache, parse_ref
from kernleap.kernel.package import members, read_packages
from kernleap.model.errors import KernleapError, TamperedError, UsageError
from kernleap.model.kernel import Arch

IMAGE = bzimage()
VMLINUZ = "boot/vmlinuz-7.2.12-test"
MODULES = "usr/lib/modules/7.2.12-test/vmlinuz"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))


def refusal_of(tmp_path, data: bytes, family: str = "deb") -> str:
    """Try to obtain a package; the error's text. Nothing may be kept or written outside."""
    path = tmp_path / f"package.{family}"
    path.write_bytes(data)
    before = {p for p in tmp_path.rglob("*") if "cache" not in p.parts}
    with pytest.raises(KernleapError) as caught:
        kernel.obtain(parse_ref(f"{family}:{path}"), arch=Arch.AMD64)
    assert {p for p in tmp_path.rglob("*") if "cache" not in p.parts} == before
    cache = KernelCache()
    assert list(cache.records()) == []
    assert [p for p in (cache.root / "objects").rglob("*") if p.is_file()] == []
    assert list((cache.root / "tmp").iterdir()) == []
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("hostile", "says"),
    [
        (("../../etc/cron.d/x", b"evil"), "leads out of it"),
        (("boot/../../x", b"evil"), "leads out of it"),
        (("/boot/vmlinuz-7.2.12-test", IMAGE), "absolute path"),
        (special("dev/sda", tarfile.BLKTYPE), "device node"),
        (special(VMLINUZ, tarfile.CHRTYPE), "device node"),
        (special("run/pipe", tarfile.FIFOTYPE), "device node"),
        (special(VMLINUZ, tarfile.SYMTYPE, "../../etc/shadow"), "a link leads out of it"),
        (special(VMLINUZ, tarfile.SYMTYPE, "../../../../etc/shadow"), "a link leads out"),
        (special(VMLINUZ, tarfile.LNKTYPE, "../etc/shadow"), "a link leads out"),
        (special("boot/config-7.2.12-test", tarfile.SYMTYPE, "../../x"), "a link leads out"),
    ],
)
def test_what_reaches_out_of_the_package(tmp_path, hostile, says):
    # The kernel itself is there and whole: the company it keeps is reason enough.
    assert says in refusal_of(tmp_path, deb([(MODULES, IMAGE), hostile]))


def test_a_link_is_never_followed_out_to_the_disk(tmp_path):
    link = special(VMLINUZ, tarfile.SYMTYPE, "/etc/hostname")
    said = refusal_of(tmp_path, deb([link]))
    assert "only a link" in said
    assert "boot/vmlinuz-7.2.12-test -> etc/hostname" in said


def test_a_directory_link_does_not_move_what_is_below_it(tmp_path):
    path = tmp_path / "a.deb"
    path.write_bytes(deb([special("boot", tarfile.SYMTYPE, "/etc"), (VMLINUZ, IMAGE)]))
    assert read_packages([path], "deb").image == IMAGE


def test_the_same_file_twice(tmp_path):
    twice = [(VMLINUZ, IMAGE), ("./" + VMLINUZ, bzimage(filler=b"another"))]
    assert "the same file twice" in refusal_of(tmp_path, deb(twice))


def test_several_kernels_are_listed(tmp_path):
    said = refusal_of(
        tmp_path, deb([(VMLINUZ, IMAGE), ("boot/vmlinuz-7.0-test", bzimage("7.0-test"))])
    )
    assert "2 kernels where one is wanted" in said
    assert VMLINUZ in said
    assert "boot/vmlinuz-7.0-test" in said


def test_two_images_of_one_release(tmp_path):
    both = [(VMLINUZ, IMAGE), (MODULES, bzimage(filler=b"another"))]
    assert "two different images" in refusal_of(tmp_path, deb(both))


def test_no_kernel(tmp_path):
    assert "no kernel image" in refusal_of(tmp_path, deb([("usr/share/doc/x", b"x")]))


def test_what_is_called_vmlinuz_and_is_none(tmp_path):
    assert "not a bootable kernel" in refusal_of(tmp_path, deb([(VMLINUZ, b"#!/bin/sh\n" * 99)]))


@pytest.mark.parametrize("kind", ["xz", "zst", "gz"])
def test_a_bomb(tmp_path, kind):
    """512 MiB of zeros in some KiB, where a module would be; refused after 64 MiB."""
    info = tarfile.TarInfo("usr/lib/modules/x.ko")
    info.size = 512 << 20
    zeros = info.tobuf(tarfile.GNU_FORMAT) + bytes(130 << 20)
    data = ar([("debian-binary", b"2.0\n"), (f"data.tar.{kind}", compress(zeros, kind))])
    assert "decompression bomb" in refusal_of(tmp_path, data)


def test_a_bomb_in_few_frames_is_met_in_bounded_memory(tmp_path):
    """2 GiB by zstd's run-length blocks; the reader is held to 700 MiB of address space."""
    frame = zstandard.ZstdCompressor(level=1).compressobj(size=2 << 30)
    info = tarfile.TarInfo("x")
    info.size = (2 << 30) - 512
    parts = [frame.compress(info.tobuf(tarfile.GNU_FORMAT))]
    zeros = bytes(1 << 20)
    parts += [frame.compress(zeros) for _ in range(2047)]
    parts += [frame.compress(zeros[: (1 << 20) - 512]), frame.flush()]
    path = tmp_path / "linux.pkg.tar.zst"
    path.write_bytes(b"".join(parts))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from kernleap.kernel.package import read_packages\n"
        "from kernleap.model.errors import TamperedError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))\n"
        "try: read_packages([Path(sys.argv[1])], 'pacman')\n"
        "except TamperedError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    assert "decompression bomb" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 700 << 20


def test_a_kernel_beyond_any_size(tmp_path):
    info = tarfile.TarInfo(VMLINUZ)
    info.size = members.MAX_IMAGE_BYTES + 1
    data = compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20), "xz")
    package = ar([("debian-binary", b"2.0\n"), ("data.tar.xz", data)])
    assert "beyond the limit" in refusal_of(tmp_path, package)


def test_members_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_MEMBERS", 500)
    many = [(f"usr/share/{n}", b"") for n in range(501)]
    assert "more than 500 members" in refusal_of(tmp_path, deb([*many, (VMLINUZ, IMAGE)]))


def test_a_package_that_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.0)
    assert "more than 0 s" in refusal_of(tmp_path, deb([(VMLINUZ, IMAGE)]))


WHOLE = {
    "deb-xz": ("deb", deb([(VMLINUZ, IMAGE), ("usr/share/doc/x", b"x" * 40_000)])),
    "deb-zst": ("deb", deb([(VMLINUZ, IMAGE), ("usr/share/doc/x", b"x" * 40_000)], "zst")),
    "deb-gz": ("deb", deb([(VMLINUZ, IMAGE), ("usr/share/doc/x", b"x" * 40_000)], "gz")),
    "deb-plain": ("deb", deb([(VMLINUZ, IMAGE), ("usr/share/doc/x", b"x" * 40_000)], "")),
    "rpm": ("rpm", rpm([(f"./{MODULES}", 0o100644, IMAGE), ("./x", 0o100644, b"x" * 40_000)])),
    "pacman": ("pacman", compress(tar([(MODULES, IMAGE), ("x", b"x" * 40_000)]), "zst")),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_cut_short(tmp_path, name, share):
    family, data = WHOLE[name]
    said = refusal_of(tmp_path, data[: int(len(data) * share)], family)
    assert f"not a whole {family} package" in said


@pytest.mark.parametrize("name", WHOLE)
def test_cut_short_by_one_byte(tmp_path, name):
    family, data = WHOLE[name]
    assert f"not a whole {family}" in refusal_of(tmp_path, data[:-1], family)


@pytest.mark.parametrize("family", ["deb", "rpm", "pacman"])
@pytest.mark.parametrize("data", [b"", b"<html>404</html>" * 99, bytes(9999), WHOLE["rpm"][1][:96]])
def test_another_kind_of_file(tmp_path, family, data):
    assert f"not a whole {family} package" in refusal_of(tmp_path, data, family)


def test_a_deb_for_an_rpm(tmp_path):
    assert "does not start as an rpm" in refusal_of(tmp_path, WHOLE["deb-xz"][1], "rpm")


def test_an_rpm_payload_that_was_changed(tmp_path):
    data = rpm([(f"./{MODULES}", 0o100644, IMAGE)], digest="0" * 64)
    assert "does not match the digest in its header" in refusal_of(tmp_path, data, "rpm")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([("./../../x", 0o100644, b"")], "leads out of it"),
        ([("./dev/sda", 0o060600, b"")], "device node"),
        ([(f"./{VMLINUZ}", 0o120777, b"../../../etc/shadow")], "a link leads out"),
        ([("x" * 5000, 0o100644, b"")], "impossible length"),
        ([(f"./{MODULES}", 0o100644, IMAGE)] * 2, "the same file twice"),
    ],
)
def test_hostile_rpms(tmp_path, files, says):
    assert says in refusal_of(tmp_path, rpm(files), "rpm")


def test_an_rpm_header_of_impossible_size(tmp_path):
    data = bytearray(WHOLE["rpm"][1])
    data[96 + 8 : 96 + 16] = struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF)
    assert "impossible size" in refusal_of(tmp_path, bytes(data), "rpm")


@pytest.mark.parametrize(
    ("package", "says"),
    [
        (ar([("control.tar.xz", b"")]), "first part is not debian-binary"),
        (ar([("debian-binary", b"2.0\n")]), "without data"),
        (ar([("debian-binary", b"2.0\n"), ("data.tar.bz2", b"x")]), "not supported"),
        (ar([("debian-binary", b"2.0\n"), ("data.tar.xz", b"no xz" * 9)]), "damaged"),
        (b"!<arch>\n" + b"debian-binary   " + b"x" * 44, "a broken ar header"),
    ],
)
def test_debs_of_a_broken_form(tmp_path, package, says):
    assert says in refusal_of(tmp_path, package)


def test_names_for_a_terminal_are_shown_harmlessly(tmp_path):
    said = refusal_of(tmp_path, deb([("../\x1b[31mred", b"x"), (VMLINUZ, IMAGE)]))
    assert "\x1b" not in said


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_any_damage_is_refused_or_harmless(tmp_path, name, flips):
    """Flipped bytes end in one of our errors, or in a whole kernel: never in a crash."""
    family, data = WHOLE[name]
    damaged = bytearray(data)
    for where, flip in flips:
        damaged[int(where * (len(damaged) - 1))] ^= flip
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    try:
        found = read_packages([path], family)
    except (TamperedError, UsageError):
        return
    assert len(found.image) == len(IMAGE)
