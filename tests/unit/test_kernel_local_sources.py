"""Kernels on this machine: files, packages, trees, the host."""

from __future__ import annotations

import gzip
import os

import pytest

from kernel_packages import arm64_image, bzimage, compress, deb, rpm, tar
from kernleap import kernel
from kernleap.kernel import KernelCache, obtain_by_digest, parse_ref
from kernleap.kernel.sources.host import HostSource
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel import Arch, KernelRef
from kernleap.model.run import ArmInputs

RELEASE = "7.2.12-test"
IMAGE = bzimage(RELEASE)
CONFIG = b"CONFIG_HZ=250\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))


def obtain(text: str, arch: Arch = Arch.AMD64):
    return kernel.obtain(parse_ref(text), arch=arch, offline=True)


def inputs_of(image) -> ArmInputs:
    fields = type(image.provenance).__dataclass_fields__
    provenance = {name: getattr(image.provenance, name) for name in fields}
    return ArmInputs("candidate", image.release, image.sha256, provenance)


@pytest.fixture
def packages(tmp_path) -> dict[str, str]:
    files = [(f"usr/lib/modules/{RELEASE}/vmlinuz", IMAGE)]
    config = (f"./usr/lib/modules/{RELEASE}/config", CONFIG)
    pacman = tar([(".PKGINFO", b"pkgname = linux\n"), *files])
    headers = tar([(f"usr/lib/modules/{RELEASE}/build/.config", CONFIG)])
    rpm_files = [
        (f"./lib/modules/{RELEASE}/", 0o040755, b""),
        (f"./lib/modules/{RELEASE}/vmlinuz", 0o100755, IMAGE),
        (f"./lib/modules/{RELEASE}/config", 0o100644, CONFIG),
    ]
    parts = {
        "image.deb": deb(files),
        "base.deb": deb([config]),
        "gz.deb": deb([*files, config], "gz"),
        "zst.deb": deb([*files, config], "zst"),
        "plain.deb": deb([*files, config], ""),
        "core.rpm": rpm(rpm_files),
        "linux.pkg.tar.zst": compress(pacman, "zst"),
        "linux.pkg.tar.xz": compress(pacman, "xz"),
        "headers.pkg.tar.zst": compress(headers, "zst"),
    }
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in parts}


@pytest.mark.parametrize(
    ("source", "names", "has_config"),
    [
        ("deb", ["image.deb"], False),
        ("deb", ["image.deb", "base.deb"], True),
        ("deb", ["gz.deb"], True),
        ("deb", ["zst.deb"], True),
        ("deb", ["plain.deb"], True),
        ("rpm", ["core.rpm"], True),
        ("pacman", ["linux.pkg.tar.zst"], False),
        ("pacman", ["linux.pkg.tar.xz", "headers.pkg.tar.zst"], True),
    ],
)
def test_packages(packages, source, names, has_config):
    ref = f"{source}:" + ",".join(packages[name] for name in names)
    image = obtain(ref)
    assert image.release == RELEASE
    assert image.vmlinuz.read_bytes() == IMAGE
    assert (image.kconfig is not None) == has_config
    if image.kconfig:
        assert image.kconfig.read_bytes() == CONFIG
    assert image.provenance.path.endswith(f"lib/modules/{RELEASE}/vmlinuz")
    assert obtain(ref) == image


def test_the_real_rpm_of_rpmbuild(checkout):
    image = obtain(f"rpm:{checkout}/tests/unit/data/kernel-tiny.rpm")
    assert image.release == "7.2.12-tiny"
    assert image.kconfig is not None
    assert b"CONFIG_HZ=1000" in image.kconfig.read_bytes()


def test_relative_paths_are_taken_from_here(packages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert obtain("deb:image.deb").provenance.package == packages["image.deb"]


def test_vmlinuz_with_a_config_beside_it(tmp_path):
    (tmp_path / f"vmlinuz-{RELEASE}").write_bytes(IMAGE)
    (tmp_path / f"config-{RELEASE}").write_bytes(CONFIG)
    image = obtain(f"vmlinuz:{tmp_path}/vmlinuz-{RELEASE}+cmdline:nosmt")
    assert (image.release, image.provenance.source) == (RELEASE, "vmlinuz")
    assert image.kconfig is not None
    assert str(image.ref).endswith("+cmdline:nosmt")


def test_arm64(tmp_path):
    path = tmp_path / "Image"
    path.write_bytes(arm64_image(RELEASE))
    assert obtain(f"vmlinuz:{path}", Arch.ARM64).release == RELEASE
    with pytest.raises(UsageError, match="built for arm64"):
        obtain(f"vmlinuz:{path}")


@pytest.mark.parametrize("name", ["absent", "."])
def test_no_such_file(tmp_path, name):
    with pytest.raises(UsageError, match=r"no such file|a directory"):
        obtain(f"vmlinuz:{tmp_path}/{name}")


def test_a_package_that_names_another_release_than_its_kernel(tmp_path):
    path = tmp_path / "a.deb"
    path.write_bytes(deb([("./boot/vmlinuz-7.2.13-test", IMAGE)]))
    with pytest.raises(
        TamperedError, match=r"calls itself 7\.2\.12-test, its package says 7\.2\.13"
    ):
        obtain(f"deb:{path}")


def make_tree(tmp_path, configured: str):
    tree = tmp_path / "linux"
    for name in ("arch/x86/boot", "include/config"):
        (tree / name).mkdir(parents=True)
    (tree / "arch/x86/boot/bzImage").write_bytes(IMAGE)
    (tree / ".config").write_bytes(CONFIG)
    (tree / "include/config/kernel.release").write_text(configured + "\n")
    return tree


def test_tree(tmp_path):
    image = obtain(f"tree:{make_tree(tmp_path, RELEASE)}")
    assert (image.release, image.notes) == (RELEASE, ())
    assert image.kconfig is not None


def test_a_tree_configured_since_its_build_gives_no_config(tmp_path):
    image = obtain(f"tree:{make_tree(tmp_path, '7.2.12-next')}")
    assert (image.release, image.kconfig) == (RELEASE, None)
    assert "configured for 7.2.12-next after 7.2.12-test was built" in image.notes[0]


def test_a_tree_that_was_not_built(tmp_path):
    with pytest.raises(UsageError, match="no built kernel image"):
        obtain(f"tree:{tmp_path}")


def host_of(root) -> HostSource:
    return HostSource(root, RELEASE, "x86_64")


def take_host(source: HostSource):
    cache = KernelCache()
    ref = KernelRef("host", "")
    resolved = source.resolve(ref, Arch.AMD64, cache, offline=True, progress=None)
    return source.fetch(resolved, cache, None)


@pytest.mark.parametrize("place", ["boot/vmlinuz-{}", "usr/lib/modules/{}/vmlinuz"])
@pytest.mark.parametrize("config", ["boot/config-{}", "proc/config.gz", None])
def test_host(tmp_path, place, config):
    files = {place: IMAGE}
    if config:
        files[config] = gzip.compress(CONFIG) if config.endswith(".gz") else CONFIG
    for name, data in files.items():
        path = tmp_path / name.format(RELEASE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    image = take_host(host_of(tmp_path))
    assert (image.release, image.provenance.source) == (RELEASE, "host")
    assert (image.kconfig.read_bytes() if image.kconfig else None) == (CONFIG if config else None)


def test_a_host_without_its_kernel_at_hand(tmp_path):
    with pytest.raises(InfrastructureError, match="not on this machine") as caught:
        take_host(host_of(tmp_path))
    assert "container" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_host_kernel_for_root_only(tmp_path):
    path = tmp_path / f"boot/vmlinuz-{RELEASE}"
    path.parent.mkdir()
    path.write_bytes(IMAGE)
    path.chmod(0)
    with pytest.raises(InfrastructureError, match="may not be read"):
        take_host(host_of(tmp_path))


def test_a_host_of_another_architecture(tmp_path):
    with pytest.raises(UsageError, match="the host runs x86_64, not arm64"):
        host_of(tmp_path).resolve(
            KernelRef("host", ""), Arch.ARM64, KernelCache(), offline=True, progress=None
        )


def test_by_digest_from_the_cache_without_the_file(tmp_path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(IMAGE)
    image = obtain(f"vmlinuz:{path}")
    path.unlink()
    again = obtain_by_digest(inputs_of(image), Arch.AMD64)
    assert (again.sha256, again.vmlinuz) == (image.sha256, image.vmlinuz)


def test_by_digest_from_where_it_came(packages, tmp_path, monkeypatch):
    image = obtain(f"deb:{packages['gz.deb']}")
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "empty"))
    assert obtain_by_digest(inputs_of(image), Arch.AMD64).sha256 == image.sha256


def test_by_digest_says_when_it_changed_or_is_gone(tmp_path, monkeypatch):
    path = tmp_path / "vmlinuz"
    path.write_bytes(IMAGE)
    inputs = inputs_of(obtain(f"vmlinuz:{path}"))
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "empty"))
    path.write_bytes(bzimage(RELEASE, b"another"))
    with pytest.raises(TamperedError, match="has changed since the run") as caught:
        obtain_by_digest(inputs, Arch.AMD64)
    assert inputs.kernel_sha256 in str(caught.value)
    path.unlink()
    with pytest.raises(InfrastructureError, match="can no longer be had"):
        obtain_by_digest(inputs, Arch.AMD64)
