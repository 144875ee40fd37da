"""Risk read from real kernels: Debian's, and the same as CachyOS and Fedora package theirs."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

import kernel_packages as made
from kernleap import cli, kernel
from kernleap.kernel.facts import gather_facts
from kernleap.kernel.package.metadata import read_metadata
from kernleap.kernel.signature import image_signature
from kernleap.model.errors import TamperedError, UsageError
from kernleap.model.kernel import Arch, KernelImage
from kernleap.risk.assess import Subject, assess
from kernleap.risk.library import shipped
from lab_runs import image_of
from risk_data import TODAY

CHANGES = {
    "CONFIG_HZ=250": "CONFIG_HZ=1000",
    "CONFIG_LTO_NONE=y": "# CONFIG_LTO_NONE is not set\nCONFIG_LTO_CLANG_THIN=y",
    "CONFIG_PREEMPT_LAZY=y": "# CONFIG_PREEMPT_LAZY is not set\nCONFIG_PREEMPT=y",
    "CONFIG_MODULE_SIG=y": "# CONFIG_MODULE_SIG is not set",
    "CONFIG_MITIGATION_RETPOLINE=y": "# CONFIG_MITIGATION_RETPOLINE is not set",
    "CONFIG_SCHED_CLASS_EXT=y": (
        "CONFIG_SCHED_CLASS_EXT=y\nCONFIG_CACHY=y\nCONFIG_SCHED_BORE=y\nCONFIG_X86_64_VERSION=3\n"
        "CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE_O3=y"
    ),
}


def config_of(image: KernelImage) -> str:
    assert image.kconfig is not None, "the newest kernels of the archive carry a configuration"
    return image.kconfig.read_text()


def changed(text: str) -> str:
    for old, new in CHANGES.items():
        assert f"\n{old}\n" in text, f"{old} is no longer in Debian's configuration"
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    return text


def renamed(image: bytes, release: str) -> bytes:
    """The same kernel by another release: the boot protocol's version string, in place."""
    at = 0x200 + struct.unpack_from("<H", image, 0x20E)[0]
    end = image.index(b"\0", at)
    banner = f"{release} (builder@host) #1 SMP".encode()
    assert len(banner) < end - at
    return image[:at] + banner.ljust(end - at, b"\0") + image[end:]


@pytest.fixture(scope="module")
def debian() -> KernelImage:
    return image_of("debian:7.2")


@pytest.mark.network
def test_debian_kernels_as_they_are(debian):
    facts = gather_facts(debian)
    assert facts.signature.present is True
    assert facts.signature.covers is True  # the digest that Debian signed is that of these bytes
    assert any("Debian Secure Boot" in name for name in facts.signature.signers)
    assert facts.packages[0].version == facts.version
    (profile,) = assess([Subject(facts, config_of(debian))], shipped(), today=TODAY)
    assert profile.lifecycle.series == "7.2"
    assert profile.lifecycle.supported_until is None  # nobody has announced one
    assert profile.build.scheduler == "EEVDF"
    assert (profile.build.hz, profile.build.lto, profile.build.march) == ("250", "none", "x86-64")
    assert "Debian" in {mark.meaning for mark in profile.build.marks}
    assert profile.lockdown == "under Secure Boot"
    assert profile.livepatch is True
    assert profile.module_signatures == "checked"
    assert {p.severity for p in profile.in_area("configuration")} <= {"note"}


@pytest.mark.network
def test_a_kernel_in_cachyos_layout(debian, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))
    release = "7.2.12-2-cachyos"
    image = renamed(debian.vmlinuz.read_bytes(), release)
    paths = []
    packages = made.cachyos(
        release, image, changed(config_of(debian)), pkgver="7.2.12-2", base="linux-cachyos"
    )
    for name, data in zip(("linux-cachyos", "linux-cachyos-headers"), packages, strict=True):
        paths.append(tmp_path / f"{name}-7.2.12-2-x86_64_v3.pkg.tar.zst")
        paths[-1].write_bytes(data)
    ref = kernel.parse_ref("pacman:" + ",".join(map(str, paths)))
    found = kernel.obtain(ref, arch=Arch.AMD64)
    facts = gather_facts(found)
    assert facts.release == release
    package = facts.packages[0]
    assert (package.name, package.base, package.version, package.arch) == (
        "linux-cachyos", "linux-cachyos", "7.2.12-2", "x86_64_v3",
    )  # fmt: skip
    assert package.vendor.startswith("CachyOS")
    assert package.built == "2026-10-26"
    assert package.build_tool == "devtools 1:1.3.2"
    assert package.options == ("!strip", "!lto")
    assert package.toolchain == ("clang-21.1.0-1-x86_64", "lld-21.1.0-1-x86_64")
    assert facts.signature.present is True
    assert facts.signature.covers is False  # its bytes were changed after Debian signed them
    base = Subject(gather_facts(debian), config_of(debian))
    _, profile = assess([base, Subject(facts, config_of(found))], shipped(), today=TODAY)
    build = profile.build
    assert (build.scheduler, build.sched_ext, build.lto) == ("BORE", "yes", "Clang, thin")
    assert (build.hz, build.preemption) == ("1000", "full, changeable at boot")
    assert (build.march, build.optimisation) == ("x86-64-v3", "-O3")
    assert build.patch_level == "2"
    assert ("-cachyos", "CachyOS", True) in {(m.text, m.meaning, m.patched) for m in build.marks}
    assert profile.module_signatures == "off"
    assert {weak.name for weak in profile.weaknesses if weak.worse} == {
        "MODULE_SIG", "MITIGATION_RETPOLINE",
    }  # fmt: skip
    assert profile.lifecycle.distribution == "CachyOS"
    assert profile.level == "high"  # by the signature


@pytest.mark.network
def test_a_kernel_in_fedora_layout(debian, tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))
    release = "7.2.12-200.fc44.x86_64"
    text = config_of(debian).replace("\nCONFIG_HZ=250\n", "\nCONFIG_HZ=1000\n")
    path = tmp_path / "kernel-core.rpm"
    path.write_bytes(made.fedora(release, renamed(debian.vmlinuz.read_bytes(), release), text))
    found = kernel.obtain(kernel.parse_ref(f"rpm:{path}"), arch=Arch.AMD64)
    facts = gather_facts(found)
    (package,) = facts.packages
    assert (package.name, package.version) == ("kernel-core", "7.2.12-200.fc44")
    assert package.base == "kernel-7.2.12-200.fc44.src.rpm"
    assert (package.vendor, package.distribution) == ("Fedora Project", "Fedora Project")
    assert (package.built, package.signed) == ("2026-10-26", True)
    (profile,) = assess([Subject(facts, config_of(found))], shipped(), today=TODAY)
    assert (profile.facts.release, profile.lifecycle.series) == (release, "7.2")
    assert profile.lifecycle.distribution == "Fedora"
    assert profile.lifecycle.supported is True
    assert profile.supported_until is None  # when a Fedora release ends is not in the data
    assert any("until when is not known" in gap.text for gap in profile.gaps)
    assert profile.build.hz == "1000"
    assert ("Fedora", ".fc44") in {(mark.meaning, mark.text) for mark in profile.build.marks}


@pytest.mark.network
def test_the_command_shows_real_kernels_and_what_is_not_known(
    debian, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERNLEAP_RISK_DATA", str(tmp_path / "risk"))
    assert cli.run(["risk", "--json", "debian:7.2", "debian:7.2+cmdline:mitigations=off"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["cves"] is None
    assert first["signature"]["signed"] is True
    assert second["level"] == "high"
    assert second["confounders"] == []
    assert cli.run(["risk", "debian:7.2"]) == 0
    text = capsys.readouterr().out
    assert "not assessed: no CVE records are at hand" in text
    assert "0 CVEs" not in text


def test_a_signature_that_is_not_there_or_broken():
    assert image_signature(made.bzimage()).present is False
    assert image_signature(b"").present is False
    pe = bytearray(0x400)
    pe[:2], pe[0x3C:0x40], pe[0x40:0x44] = b"MZ", struct.pack("<I", 0x40), b"PE\0\0"
    assert image_signature(bytes(pe)).present is None  # no kind of PE that is known
    pe[0x58:0x5A] = struct.pack("<H", 0x20B)
    pe[0x40 + 24 + 108 : 0x40 + 24 + 112] = struct.pack("<I", 16)
    assert "empty" in image_signature(bytes(pe)).note
    entry = 0x40 + 24 + 112 + 32
    pe[entry : entry + 8] = struct.pack("<II", 0x300, 0x10000)
    assert "outside" in image_signature(bytes(pe)).note
    pe[entry : entry + 8] = struct.pack("<II", 0x300, 0x40)
    assert "no PKCS #7" in image_signature(bytes(pe)).note


def test_what_a_deb_says_of_itself(tmp_path):
    path = tmp_path / "a.deb"
    path.write_bytes(made.deb([("./boot/vmlinuz-7.2.12-test", made.bzimage())]))
    (package,) = read_metadata([path], "deb")
    assert (package.family, package.name) == ("deb", "linux-image-test")


@pytest.mark.parametrize(
    ("family", "data"),
    [
        ("deb", b"!<arch>\nnonsense"),
        ("rpm", b"\xed\xab\xee\xdb" + b"\0" * 200),
        ("pacman", made.compress(made.tar([(".PKGINFO", b"nothing = here\n")]), "zst")),
        ("pacman", made.compress(made.tar([("../../etc/passwd", b"x")]), "zst")),
        ("pacman", made.compress(made.tar([(".PKGINFO", b"a=b\n" * 2_000_000)]), "zst")),
        ("pacman", b"\x28\xb5\x2f\xfd cut short"),
    ],
)
def test_damaged_and_hostile_packages_are_refused(family, data, tmp_path):
    path = tmp_path / "package"
    path.write_bytes(data)
    with pytest.raises(TamperedError, match=f"not a whole {family} package"):
        read_metadata([path], family)
    with pytest.raises(UsageError, match="cannot read"):
        read_metadata([Path("/nope")], family)
