"""Which mirror a machine's own apt sources name."""

from __future__ import annotations

import pytest

from kernleap.archive.apt_sources import Mirror, machine_mirrors, mirror_from_environment
from kernleap.model.errors import InfrastructureError

KEY = ("Signed-By", "/usr/share/keyrings/debian-archive-keyring.gpg")


def mirrors(tmp_path, **files: str) -> tuple[Mirror, ...]:
    paths = []
    for name, text in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_text(text)
        paths.append(path)
    return machine_mirrors(paths)


def test_deb822(tmp_path):
    text = f"""\
# a comment
Types: deb deb-src
# another one within
URIs: http://one.example/debian https://two.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEY[1]}
Architectures: amd64

Types: deb
URIs: http://one.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""
    assert mirrors(tmp_path, debian__sources=text) == (
        Mirror("http://one.example/debian", (KEY,)),
        Mirror("https://two.example/debian", (KEY,)),
    )


def test_deb822_keeps_a_key_written_into_it(tmp_path):
    text = (
        "Types: deb\nURIs: http://one.example/debian\nSuites: sid\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n"
        " -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (mirror,) = mirrors(tmp_path, a__sources=text)
    assert mirror.stanza("sid").endswith(
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n"
        " -----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_one_line(tmp_path):
    text = f"""\
# deb http://commented.example/debian bookworm main
deb [ arch=amd64,arm64 signed-by={KEY[1]} ] http://one.example/debian bookworm main # why
deb-src http://src.example/debian bookworm main
deb http://plain.example/mirror/debian/ stable main non-free-firmware
deb http://contrib.example/debian bookworm contrib
deb http://broken
"""
    assert mirrors(tmp_path, sources__list=text) == (
        Mirror("http://one.example/debian", (KEY,)),
        Mirror("http://plain.example/mirror/debian/"),
    )


@pytest.mark.parametrize(
    "line",
    [
        "deb http://archive.example/ubuntu noble main universe",
        "deb https://download.example/linux/debian bookworm stable",
        "deb http://apt.example/pub/repos/apt bookworm-pgdg main",
        "deb http://security.example/debian-security bookworm-security main",
    ],
)
def test_other_archives_are_not_debians(tmp_path, line):
    assert mirrors(tmp_path, sources__list=line + "\n") == ()


def test_a_third_party_archive_comes_after_what_looks_like_debian(tmp_path):
    text = "deb http://vendor.example/apt bookworm main\ndeb http://one.example/debian sid main\n"
    assert [m.uri for m in mirrors(tmp_path, a__list=text)] == [
        "http://one.example/debian",
        "http://vendor.example/apt",
    ]


def test_a_local_list_of_mirrors_becomes_its_mirrors(tmp_path):
    listing = tmp_path / "mirrors.txt"
    listing.write_text(
        "# first\nhttp://one.example/debian\tpriority:1\nhttp://two.example/debian\n"
    )
    text = f"Types: deb\nURIs: mirror+file://{listing}\nSuites: sid\nComponents: main\n"
    assert [m.uri for m in mirrors(tmp_path, a__sources=text)] == [
        "http://one.example/debian",
        "http://two.example/debian",
    ]


def test_unreadable_files_are_passed_by(tmp_path):
    assert machine_mirrors([tmp_path / "absent.list"]) == ()


def test_stanza_asks_for_packages_of_main_only():
    lines = Mirror("http://one.example/debian", (KEY,)).stanza("forky").splitlines()
    assert "Suites: forky" in lines
    assert "Components: main" in lines
    assert "Targets: Packages" in lines
    assert f"{KEY[0]}: {KEY[1]}" in lines


def test_the_environment_names_a_mirror_with_its_keyring(tmp_path, monkeypatch):
    assert mirror_from_environment() is None
    keyring = tmp_path / "keys.gpg"
    monkeypatch.setenv("KERNLEAP_DEBIAN_MIRROR", "http://mine.example/debian")
    monkeypatch.setenv("KERNLEAP_DEBIAN_KEYRING", str(keyring))
    with pytest.raises(InfrastructureError, match="no keyring"):
        mirror_from_environment()
    keyring.write_bytes(b"key")
    assert mirror_from_environment() == Mirror(
        "http://mine.example/debian", (("Signed-By", str(keyring)),)
    )
