"""The catalogue: both package shapes, order, flavours, names."""

from __future__ import annotations

import pytest

from kernleap.kernel import catalogue
from kernleap.model.kernel import Arch


def stanza(package: str, version: str) -> str:
    return (
        f"Package: {package}\nVersion: {version}\nArchitecture: amd64\n"
        f"Depends: kmod, linux-base (>= 4.3)\nFilename: pool/{package}_{version}.deb\n"
        f"Size: 1000\nSHA256: {hash((package, version)) & 0xFFFF:064x}\n"
        "Description: a kernel\n with: a colon\n"
    )


def index_of(*packages: tuple[str, str, str]) -> catalogue.Index:
    suites: dict[str, list[str]] = {}
    for suite, package, version in packages:
        suites.setdefault(suite, []).append(stanza(package, version))
    files = [(suite, "http://mirror/debian/", "\n".join(s)) for suite, s in suites.items()]
    return catalogue.build_index(files, Arch.AMD64, 1.0)


INDEX = index_of(
    ("bookworm", "linux-image-6.1.0-50-cloud-amd64", "6.1.176-1"),
    ("bookworm", "linux-image-6.1.0-9-cloud-amd64", "6.1.27-1"),
    ("bookworm", "linux-image-6.1.0-50-cloud-amd64-unsigned", "6.1.176-1"),
    ("bookworm", "linux-image-6.1.0-50-cloud-amd64-dbg", "6.1.176-1"),
    ("bookworm", "linux-image-6.1.0-50-rt-amd64", "6.1.176-1"),
    ("bookworm", "linux-image-amd64", "6.1.176-1"),
    ("trixie-backports", "linux-image-7.2.9+deb13-cloud-amd64", "7.2.9-1~bpo13+1"),
    ("trixie-backports", "linux-binary-7.2.9+deb13-cloud-amd64", "7.2.9-1~bpo13+1"),
    ("trixie-backports", "linux-base-7.2.9+deb13-cloud-amd64", "7.2.9-1~bpo13+1"),
    ("trixie-backports", "linux-binary-7.2.12+deb13-cloud-amd64", "7.2.12-1~bpo13+1"),
    ("trixie-backports", "linux-binary-7.2.12+deb13-amd64", "7.2.12-1~bpo13+1"),
    ("trixie-backports", "linux-binary-7.2.12+deb13-rt-amd64", "7.2.12-1~bpo13+1"),
    ("trixie-backports", "linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
    ("trixie-backports", "linux-headers-7.2.12+deb13-cloud-amd64", "7.2.12-1~bpo13+1"),
    ("forky", "linux-binary-7.2.12+deb14-cloud-amd64", "7.2.12-1"),
    ("sid", "linux-binary-7.2.12+deb14-cloud-amd64", "7.2.12-1"),
    ("experimental", "linux-binary-7.3-cloud-amd64", "7.3~rc7-1~exp1"),
    ("experimental", "linux-binary-7.4-cloud-amd64", "7.4~rc1-1~exp1"),
)


def releases(name: str) -> list[str]:
    return [k.release for k in catalogue.select(INDEX.kernels, name, Arch.AMD64)[0]]


def test_series_is_newest_first_builds_for_a_released_debian_before_all_others():
    assert releases("7.2") == [
        "7.2.12+deb13-cloud-amd64",
        "7.2.9+deb13-cloud-amd64",
        "7.2.12+deb14-cloud-amd64",
    ]
    assert releases("6.1") == ["6.1.0-50-cloud-amd64", "6.1.0-9-cloud-amd64"]


def test_series_prefers_finals_to_release_candidates():
    assert releases("7.3") == ["7.3.4+deb13-cloud-amd64"]
    assert releases("7.4") == ["7.4-cloud-amd64"]


def test_version_goes_by_the_package_not_by_the_release():
    assert releases("7.2.12") == ["7.2.12+deb13-cloud-amd64", "7.2.12+deb14-cloud-amd64"]
    assert releases("6.1.176") == ["6.1.0-50-cloud-amd64"]
    assert releases("7.3-rc7") == ["7.3-cloud-amd64"]
    assert releases("7.2.1") == []


@pytest.mark.parametrize(
    "release",
    ["7.2.12+deb13-amd64", "7.2.12+deb13-rt-amd64", "7.3-cloud-amd64", "6.1.0-50-rt-amd64"],
)
def test_a_release_names_its_own_flavour_and_nothing_stands_in(release):
    found, exact = catalogue.select(INDEX.kernels, release, Arch.AMD64)
    assert [k.release for k in found] == [release]
    assert exact


def test_an_unknown_release_is_not_taken_for_a_version():
    assert catalogue.select(INDEX.kernels, "7.2.99-cloud-amd64", Arch.AMD64) == ((), True)


def test_both_shapes_lead_to_the_package_with_the_image():
    by_release = {k.release: k for k in INDEX.kernels}
    old = by_release["6.1.0-50-cloud-amd64"]
    assert (old.image.package, old.config) == ("linux-image-6.1.0-50-cloud-amd64", None)
    new = by_release["7.2.9+deb13-cloud-amd64"]
    assert new.image.package == "linux-binary-7.2.9+deb13-cloud-amd64"
    assert new.config is not None
    assert new.config.package == "linux-base-7.2.9+deb13-cloud-amd64"
    assert new.image.location == (
        "http://mirror/debian/pool/linux-binary-7.2.9+deb13-cloud-amd64_7.2.9-1~bpo13+1.deb"
    )


def test_a_kernel_in_two_suites_is_listed_once():
    twice = [k for k in INDEX.kernels if k.release == "7.2.12+deb14-cloud-amd64"]
    assert [k.image.suite for k in twice] == ["forky"]


def test_unsigned_debug_and_meta_packages_are_left_out():
    assert not [k for k in INDEX.kernels if "unsigned" in k.release or "dbg" in k.release]
    assert "amd64" not in {k.release for k in INDEX.kernels}


@pytest.mark.parametrize(
    ("release", "arch", "flavour"),
    [
        ("7.2.12+deb13-cloud-amd64", Arch.AMD64, "cloud"),
        ("7.2.12+deb13-amd64", Arch.AMD64, "generic"),
        ("7.2.12+deb13-rt-amd64", Arch.AMD64, "rt"),
        ("7.2.12+deb13-arm64-16k", Arch.ARM64, "16k"),
        ("7.2.12+deb13-cloud-arm64", Arch.ARM64, "cloud"),
        ("7.2.12+deb13-cloud-arm64", Arch.AMD64, None),
        ("6.1.0-50-cloud-amd64-unsigned", Arch.AMD64, None),
        ("7.2.12+deb13-amd64-dbg", Arch.AMD64, None),
    ],
)
def test_flavours(release, arch, flavour):
    assert catalogue.flavour_of(release, arch) == flavour


def test_an_index_survives_the_disk(tmp_path):
    path = tmp_path / "index.json"
    path.write_bytes(catalogue.dump(INDEX))
    assert catalogue.load(path) == INDEX


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_what_is_no_index_counts_as_absent(tmp_path, text):
    path = tmp_path / "index.json"
    path.write_text(text)
    assert catalogue.load(path) is None
