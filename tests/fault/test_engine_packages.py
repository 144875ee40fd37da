"""Packages of an engine that lie, climb or do not fit: refused, and nothing lands outside."""

from __future__ import annotations

import tarfile

import pytest

from kernel_packages import deb, special
from kernleap.archive.closure import SuiteIndex, UnresolvedError
from kernleap.archive.unpack import unpack_debs
from kernleap.model.errors import TamperedError
from kernleap.workload.serving.elf import read_dynamic
from kernleap.workload.serving.tree import is_wanted

ELF = b"\x7fELF\x02\x01\x01" + bytes(9)


def unpack(tmp_path, *packages: list) -> dict[str, str]:
    paths = []
    for number, members in enumerate(packages):
        path = tmp_path / f"{number}.deb"
        path.write_bytes(deb(members))
        paths.append(path)
    (tmp_path / "root").mkdir()
    return unpack_debs(paths, tmp_path / "root", is_wanted)


def test_what_is_unpacked_and_how(tmp_path):
    written = unpack(
        tmp_path,
        [
            ("./usr/bin/server", ELF),
            ("./usr/lib/a/libx.so.1.2", ELF + b"x"),
            special("./usr/lib/a/libx.so.1", tarfile.SYMTYPE, "libx.so.1.2"),
            special("./usr/lib64/ld.so", tarfile.SYMTYPE, "/usr/lib/a/libx.so.1"),
            ("./etc/profile.d/x.sh", b"evil"),
            ("./usr/share/doc/x/copyright", b"Apache-2.0"),
            ("./usr/share/doc/x/README", b"long"),
        ],
    )
    root = tmp_path / "root"
    assert sorted(written) == [
        "usr/bin/server",
        "usr/lib/a/libx.so.1",
        "usr/lib/a/libx.so.1.2",
        "usr/lib64/ld.so",
        "usr/share/doc/x/copyright",
    ]
    assert (root / "usr/lib64/ld.so").read_bytes() == ELF + b"x"
    assert (root / "usr/lib64/ld.so").resolve().is_relative_to(root)
    assert (root / "usr/bin/server").stat().st_mode & 0o7777 == 0o755
    assert (root / "usr/share/doc/x/copyright").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("../../etc/cron.d/x", b"evil")], "leads out of it"),
        ([("usr/bin/../../../x", b"evil")], "leads out of it"),
        ([("/usr/bin/server", ELF)], "absolute path"),
        ([special("usr/lib/tty", tarfile.CHRTYPE)], "device node"),
        ([special("usr/lib/x", tarfile.SYMTYPE, "../../../etc/shadow")], "a link leads out"),
        ([special("usr/lib/x", tarfile.LNKTYPE, "../etc/shadow")], "a link leads out"),
        (
            [special("usr/lib/x", tarfile.SYMTYPE, "y"), ("usr/lib/x/evil", b"1")],
            "through a link",
        ),
        ([("usr/lib/x", b"1"), ("usr/lib/x/y", b"2")], "through a link"),
        ([("usr/lib/x", b"1"), ("usr/lib/x", b"2")], "comes twice"),
    ],
)
def test_hostile_members(tmp_path, members, says):
    with pytest.raises(TamperedError, match=says) as caught:
        unpack(tmp_path, members)
    assert caught.value.where
    assert caught.value.where.startswith("0.deb")
    outside = {p.name for p in tmp_path.iterdir()} - {"0.deb", "root"}
    assert outside == set()


def test_two_packages_with_one_file(tmp_path):
    with pytest.raises(TamperedError, match="comes twice"):
        unpack(tmp_path, [("usr/lib/x", b"1")], [("usr/lib/x", b"2")])


def test_a_package_cut_short(tmp_path):
    path = tmp_path / "x.deb"
    whole = deb([("usr/lib/x", ELF * 1000)])
    for size in (0, 7, 100, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:size])
        root = tmp_path / f"root{size}"
        root.mkdir()
        with pytest.raises(TamperedError, match="not a whole deb"):
            unpack_debs([path], root, is_wanted)


INDEX = """Package: server
Version: 1:2.0-1
Section: science
Depends: libone (>= 2~), debconf | debconf-2.0, libgone0 | libtwo:any, virtual-thing
Filename: pool/s/server.deb
Size: 10
SHA256: aa

Package: libone
Version: 2.0
Section: libs
Depends: libtwo (= 1.0), libone
Filename: pool/l/libone.deb
Size: 11
SHA256: bb

Package: libtwo
Version: 0.9
Section: libs
Filename: pool/l/libtwo_old.deb
Size: 12
SHA256: cc

Package: libtwo
Version: 1.0
Section: libs
Filename: pool/l/libtwo.deb
Size: 13
SHA256: dd
Description: it says
 Depends: nothing

Package: debconf
Version: 1
Section: admin
Depends: perl
Filename: pool/d/debconf.deb
Size: 14
SHA256: ee
"""


def test_the_closure_follows_libraries_and_nothing_else():
    found = SuiteIndex("sid", INDEX).library_closure(["server"])
    assert [(p.name, p.version, p.size) for p in found] == [
        ("libone", "2.0", 11),
        ("libtwo", "1.0", 13),
        ("server", "1:2.0-1", 10),
    ]
    assert found[0].path == "pool/l/libone.deb"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("(>= 2~)", "(>= 2.1)", "server in sid needs libone"),
        ("libtwo (= 1.0)", "libtwo (<< 1.0)", "libone in sid needs libtwo"),
        ("Package: server\n", "Package: another\n", "sid has no package server"),
        ("Filename: pool/s/server.deb\n", "", "sid has no package server"),
    ],
)
def test_a_suite_that_does_not_have_it_all(old, new, says):
    assert old in INDEX
    with pytest.raises(UnresolvedError, match=says.replace("(", r"\(")):
        SuiteIndex("sid", INDEX.replace(old, new)).library_closure(["server"])


def test_elf_files_that_lie(tmp_path):
    path = tmp_path / "x"
    for data in (ELF, ELF + bytes(48), ELF + b"\xff" * 200, ELF + bytes(40) + b"\x00" * 400):
        path.write_bytes(data)
        try:
            read_dynamic(path)
        except TamperedError as error:
            assert str(path) in str(error)
    path.write_bytes(b"#!/bin/sh\n")
    assert read_dynamic(path) is None
