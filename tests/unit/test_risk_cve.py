"""CVE records of the kernel's CNA: what they say of a version, and what a configuration builds."""

from __future__ import annotations

import json
from datetime import date

import pytest

from kernleap.model.errors import UsageError
from kernleap.model.version import version_of
from kernleap.risk.cve import NotAKernelRecordError, Status, parse_record
from kernleap.risk.cve_match import Built, assess_cves, built, conditions_by_prefix
from kernleap.risk.cve_store import dump, load, read_records
from kernleap.risk.library import shipped
from risk_data import as_files, record


def status(made, version):
    parsed = parse_record(json.dumps(made).encode())
    assert parsed is not None
    found = version_of(version)
    assert found is not None
    return parsed.status(found)


FIXED = record(1, introduced="6.4", fixed={"6.6": "6.6.53", "7.0": "7.0.9"}, mainline="7.1",
               backported_to=(("5.10.186", "5.10.227"),))  # fmt: skip


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("6.3.9", "unaffected"),  # older than the bug
        ("6.4", "affected"),
        ("6.6.52", "affected"),
        ("6.6.53", "unaffected"),
        ("6.7.99", "affected"),  # a series that ended without the fix
        ("7.0.8", "affected"),
        ("7.0.9", "unaffected"),
        ("7.1", "unaffected"),
        ("7.3.4", "unaffected"),
        ("5.10.185", "unaffected"),
        ("5.10.200", "affected"),  # the bug came by a backport
        ("5.10.227", "unaffected"),
        ("7.1-rc3", "unknown"),  # the fix may be in a later candidate
        ("7.2-rc1", "unaffected"),
    ],
)
def test_ranges_of_versions_decide(version, said):
    assert status(FIXED, version) is Status(said)


def test_a_bug_without_a_fix_stays_open():
    assert status(record(2, introduced="6.4"), "7.3.4") is Status.AFFECTED


def test_commits_alone_decide_nothing():
    made = record(3, introduced="6.4")
    made["containers"]["cna"]["affected"] = made["containers"]["cna"]["affected"][:1]
    assert status(made, "7.0.1") is Status.UNKNOWN


def test_what_cannot_be_used_is_counted_not_dropped():
    foreign = record(10, introduced="6.4")
    foreign["cveMetadata"]["assignerShortName"] = "redhat"
    rejected = record(11, introduced="6.4")
    rejected["cveMetadata"]["state"] = "REJECTED"
    broken = record(12, introduced="the day before yesterday")
    files = [*as_files(foreign, rejected, broken, record(13, introduced="6.4")).items()]
    files += [("CVE-2026-1.json", b"{"), ("CVE-2026-2.json", b"[" * 100_000)]
    files.append(("cve/rejected/2026/CVE-2026-00014.json", b"{}"))
    data = read_records(files, as_of=None, source="s", origin="o")
    assert [item.id for item in data.records] == ["CVE-2026-00013"]
    assert (data.foreign, data.rejected, data.unreadable) == (1, 2, 3)
    assert data.source.as_of == date(2026, 11, 20)  # as old as its newest record


def test_the_form_of_the_cnas_own_repository_is_read():
    made = record(20, introduced="2.6.32.19")
    del made["cveMetadata"]["assignerShortName"], made["cveMetadata"]["dateUpdated"]
    made["cveMetadata"]["assignerOrgId"] = "f4215fc3-5b6b-47ff-a258-f7189bd81038"
    assert status(made, "7.0.1") is Status.AFFECTED
    made["cveMetadata"]["assignerOrgId"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(NotAKernelRecordError):
        parse_record(made)


def test_the_newer_of_two_records_counts_and_the_compact_form_loses_nothing():
    old = record(30, introduced="6.4", updated="2026-01-01")
    new = record(30, introduced="6.4", fixed={"7.0": "7.0.2"}, score=7.8, updated="2026-02-01")
    files = [("a/CVE-2026-00030.json", json.dumps(new).encode())]
    files.append(("b/CVE-2026-00030.json", json.dumps(old).encode()))
    data = read_records(files, as_of=date(2026, 3, 1), source="s", origin="o")
    assert data.records[0].score == 7.8
    assert load(dump(data), "here") == data
    with pytest.raises(UsageError, match="cannot be read"):
        load(b'{"schema": 99}', "here")


CONFIG = {"NET": "y", "NF_TABLES": "m", "NETFILTER": "y", "BTRFS_FS": "n"}


@pytest.mark.parametrize(
    ("files", "state", "why"),
    [
        (("net/core/dev.c",), Built.BUILT, "NET=y"),
        (("net/netfilter/nf_tables_api.c",), Built.MODULE, "NF_TABLES=m"),
        (("fs/btrfs/inode.c",), Built.NOT_BUILT, "BTRFS_FS=n"),
        (("fs/xfs/xfs_inode.c",), Built.NOT_BUILT, "XFS_FS=absent"),
        (("fs/btrfs/inode.c", "net/core/dev.c"), Built.BUILT, "NET=y"),
        (("fs/btrfs/inode.c", "somewhere/new.c"), Built.UNKNOWN, "not known what it depends on"),
        (("include/net/sock.h",), Built.UNKNOWN, "names no source file"),
        ((), Built.UNKNOWN, "names no source file"),
        (("include/linux/fs.h", "fs/btrfs/inode.c"), Built.NOT_BUILT, "BTRFS_FS=n"),
        (("kernel/sched/core.c",), Built.BUILT, "always built"),
        (("arch/arm64/kernel/entry.c",), Built.NOT_BUILT, "another architecture"),
        (("tools/perf/builtin.c",), Built.NOT_BUILT, "no part of the kernel"),
    ],
)
def test_what_a_configuration_builds_decides_what_counts(files, state, why):
    table = conditions_by_prefix(files, shipped().paths)
    found, said = built(files, CONFIG, "amd64", table)
    assert found is state
    assert why in said
    assert built(files, None, "amd64", table)[0] is Built.UNKNOWN  # nothing is left out unseen


def test_fixed_open_and_new_between_two_versions():
    made = [
        record(1, introduced="6.4", fixed={"7.0": "7.0.9"}, mainline="7.1"),
        record(2, introduced="7.1", fixed={"7.2": "7.2.30"}, score=9.1),
        record(3, introduced="5.4"),
        record(4, introduced="5.4", files=("fs/btrfs/inode.c",)),
        record(5, introduced="5.4", files=("somewhere/new.c",)),
    ]
    data = read_records(as_files(*made).items(), as_of=None, source="s", origin="o")
    files = {path for item in data.records for path in item.files}
    found = assess_cves(
        data,
        version_of("7.2.12"),
        kconfig=CONFIG,
        arch="amd64",
        conditions=conditions_by_prefix(files, shipped().paths),
        baseline=version_of("7.0.8"),
    )
    assert [hit.id[-1] for hit in found.open] == [
        "2",
        "3",
        "5",
        "4",
    ]  # by what is built, then score
    assert [hit.id[-1] for hit in found.fixed] == ["1"]
    assert [hit.id[-1] for hit in found.introduced] == ["2"]
    assert (found.open_count, found.unknown_count, found.not_built_count) == (3, 1, 1)
