"""What is read from trees, patches and machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernleap import cli
from kernleap.kernel.kbuild import conditions
from kernleap.kernel.patches import patches_of_tree, read_patches
from kernleap.machine.inventory import inventory
from kernleap.model.errors import UsageError
from kernleap.model.kernel_facts import DkmsEntry, HostModule
from kernleap.risk.cve_match import Built, built

FIRST = """\
From: A
Subject: one
--- a/kernel/sched/fair.c
+++ b/kernel/sched/fair.c
@@ -1,3 +1,4 @@
 a
--- b
+++ c
+d
 e
--- a/drivers/net/tun.c
+++ b/drivers/net/tun.c
@@ -5 +5 @@
-x
+y
"""
SECOND = """\
--- /dev/null
+++ b/fs/new/file.c
@@ -0,0 +1,2 @@
+a
+b
--- a/net/core/old.c
+++ /dev/null
@@ -1 +0,0 @@
-gone
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_patches_of_a_series_are_counted_with_what_they_touch(tmp_path):
    series = "# ours\nfeatures/one.patch\n\ntwo.patch -p1  # why\nlost.patch\n../outside.patch\n"
    tree = write(
        tmp_path / "tree",
        {
            "debian/patches/series": series,
            "debian/patches/features/one.patch": FIRST,
            "debian/patches/two.patch": SECOND,
            "debian/outside.patch": FIRST,
        },
    )
    found = patches_of_tree(tree)
    assert found is not None
    assert (found.patches, found.added, found.removed, found.files) == (2, 5, 3, 4)
    assert found.missing == ("lost.patch", "../outside.patch")
    assert dict(found.subsystems) == {"kernel": 1, "drivers/net": 1, "fs/new": 1, "net/core": 1}
    assert read_patches(tree / "debian/patches") == read_patches(tree / "debian/patches/series")
    assert patches_of_tree(tmp_path) is None


def test_a_diff_and_a_directory_of_patches(tmp_path):
    mails = "".join(f"From {n:040x} Mon Sep 17 00:00:00 2001\n{SECOND}" for n in range(3))
    write(tmp_path, {"all.diff": mails, "d/a.patch": FIRST, "d/b.patch": SECOND})
    found = read_patches(tmp_path / "all.diff")
    assert (found.patches, found.files, found.added) == (3, 2, 6)
    assert read_patches(tmp_path / "d").patches == 2


@pytest.mark.parametrize("name", ["nothing", "empty", "notes.txt"])
def test_what_holds_no_patches_is_said(name, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path, {"notes.txt": "see elsewhere\n"})
    with pytest.raises(UsageError, match="no patches to count"):
        read_patches(tmp_path / name)


TREE = {
    "Makefile": "VERSION = 7\n",
    "Kconfig": "",
    "Kbuild": "obj-y += kernel/\nobj-$(CONFIG_NET) += net/\nobj-y += fs/ drivers/\n",
    "kernel/Makefile": "obj-y = fork.o \\\n  exec_domain.o\nobj-y += sched/\n",
    "kernel/sched/Makefile": "obj-y += core.o\nobj-$(CONFIG_SCHED_CLASS_EXT) += ext.o\n",
    "net/Makefile": "obj-y += core/\nobj-$(CONFIG_TLS) += tls/\n",
    "net/core/Makefile": "obj-y := sock.o dev.o\n",
    "net/tls/Makefile": "obj-$(CONFIG_TLS) += tls.o\ntls-y := tls_main.o\n"
    "tls-$(CONFIG_TLS_DEVICE) += tls_device.o\n",
    "fs/Makefile": "obj-$(CONFIG_XFS_FS) += xfs/\n",
    "fs/xfs/Makefile": "obj-$(CONFIG_XFS_FS) += xfs.o\nxfs-y += libxfs/xfs_ag.o\n"
    "loop-y := loop.o\n",
    "arch/x86/kvm/Makefile": "kvm-intel-y += vmx/vmx.o\nobj-$(CONFIG_KVM_INTEL) += kvm-intel.o\n",
    "arch/x86/Kbuild": "obj-$(CONFIG_KVM) += kvm/\n",
}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("kernel/fork.c", ()),
        ("kernel/exec_domain.c", ()),
        ("kernel/sched/ext.c", ("SCHED_CLASS_EXT",)),
        ("net/core/dev.c", ("NET",)),
        ("net/tls/tls_main.c", ("NET", "TLS")),
        ("net/tls/tls_device.c", ("NET", "TLS", "TLS_DEVICE")),
        ("fs/xfs/libxfs/xfs_ag.c", ("XFS_FS",)),
        ("arch/x86/kvm/vmx/vmx.c", ("KVM", "KVM_INTEL")),
        ("fs/xfs/loop.c", None),  # made into an object that goes nowhere
        ("kernel/nowhere.c", None),
        ("no/such/place.c", None),
        ("include/linux/fs.h", None),
        ("../outside.c", None),
        ("top.c", None),
    ],
)
def test_makefiles_tell_what_a_file_depends_on(name, wanted, tmp_path):
    ways = None if wanted is None else (wanted,)
    assert conditions(write(tmp_path, TREE), [name]) == {name: ways}


def test_a_file_of_several_objects_has_several_ways(tmp_path):
    tree = write(
        tmp_path,
        TREE
        | {
            "net/tls/Makefile": "obj-$(CONFIG_A) += a.o common.o\nobj-$(CONFIG_B) += b.o\n"
            "b-y += common.o part.o\nobj-$(CONFIG_A) += loose.o\nobj-y += loose.o\n"
        },
    )
    found = conditions(tree, ["net/tls/common.c", "net/tls/loose.c"])
    assert found["net/tls/common.c"] == (("A", "NET", "TLS"), ("B", "NET", "TLS"))
    assert found["net/tls/loose.c"] == (("NET", "TLS"),)
    config = {"NET": "y", "TLS": "m", "A": "n", "B": "m"}
    assert built(["net/tls/common.c"], config, "amd64", found)[0] is Built.MODULE


def test_what_is_no_tree_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no kernel source tree"):
        conditions(tmp_path, ["kernel/fork.c"])


def test_a_machine_and_what_it_uses_from_outside_the_tree(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/modules": "nvidia 1 2 - Live 0x0 (POE)\next4 1 2 - Live 0x0\n"
            "odd 1 2 - Loading 0x0 (O+)\n",
            "proc/sys/kernel/tainted": "12289\n",
            "sys/module/nvidia/version": "580.95\n",
            "sys/module/nvidia/taint": "POE\n",
            "sys/module/zfs/taint": "PO\n",
            "sys/module/ext4/taint": "\n",
            "sys/kernel/livepatch/fix_1/enabled": "1\n",
            "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
        },
    )
    status = (
        "nvidia/580.95, 7.0.13, x86_64: installed\nzfs, 2.4.1, 7.0.13, x86_64: built\n"
        "v4l2loopback/0.15: added\nsomething else\n"
    )
    host = inventory(root, name="n1", release="7.0.13", dkms=status)
    assert host.modules == (
        HostModule("nvidia", "POE", "580.95"),
        HostModule("odd", "O"),
        HostModule("zfs", "PO"),
    )
    assert host.dkms == (
        DkmsEntry("nvidia", "580.95", "7.0.13", "installed"),
        DkmsEntry("zfs", "2.4.1", "7.0.13", "built"),
        DkmsEntry("v4l2loopback", "0.15", "", "added"),
    )
    assert (host.tainted, host.livepatches, host.lockdown) == (12289, ("fix_1",), "integrity")
    assert host.notes == ()


def test_what_a_machine_does_not_tell_is_said(tmp_path):
    host = inventory(tmp_path, name="n", release="7")
    assert (host.tainted, host.modules, host.dkms) == (None, (), None)
    assert len(host.notes) == 3


def test_this_machines_inventory_can_be_read_back(capsys, tmp_path):
    from kernleap.risk.hosts_file import parse_hosts

    assert cli.run(["risk", "inventory", "--json"]) == 0
    text = capsys.readouterr().out
    (host,), _ = parse_hosts(text, "here")
    assert host.release == json.loads(text)["release"] != ""
