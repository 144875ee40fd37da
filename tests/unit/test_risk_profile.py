"""Who supports a kernel, what counts against it, and what data says that is old or missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from kernleap.model.errors import UsageError
from kernleap.model.kernel_facts import (
    DkmsEntry,
    HostFacts,
    HostModule,
    ImageSignature,
    PackageFacts,
    PatchFacts,
)
from kernleap.risk.assess import Subject, assess
from kernleap.risk.cve_store import read_records
from kernleap.risk.hosts_file import parse_hosts
from kernleap.risk.library import shipped
from risk_data import TODAY, as_files, facts, record

GOOD = """\
CONFIG_CPU_MITIGATIONS=y
CONFIG_MITIGATION_PAGE_TABLE_ISOLATION=y
CONFIG_MITIGATION_RETPOLINE=y
CONFIG_MITIGATION_SPECTRE_V2=y
CONFIG_MITIGATION_SRSO=y
CONFIG_RANDOMIZE_BASE=y
CONFIG_STRICT_KERNEL_RWX=y
CONFIG_STRICT_MODULE_RWX=y
CONFIG_STACKPROTECTOR_STRONG=y
CONFIG_VMAP_STACK=y
CONFIG_FORTIFY_SOURCE=y
CONFIG_HARDENED_USERCOPY=y
CONFIG_SLAB_FREELIST_HARDENED=y
CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y
CONFIG_INIT_STACK_ALL_ZERO=y
CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT=y
CONFIG_BPF_UNPRIV_DEFAULT_OFF=y
CONFIG_MODULE_SIG=y
CONFIG_SECURITY_LOCKDOWN_LSM=y
CONFIG_SECURITY_DMESG_RESTRICT=y
CONFIG_SECCOMP_FILTER=y
CONFIG_SECURITY_SELINUX=y
CONFIG_STRICT_DEVMEM=y
CONFIG_LIVEPATCH=y
CONFIG_NET=y
"""


def one(made, library=None, config=None, **options):
    (profile,) = assess(
        [Subject(made, config)], library or shipped(), **({"today": TODAY} | options)
    )
    return profile


def records(*made):
    return shipped().with_cves(
        read_records(as_files(*made).items(), as_of=date(2026, 11, 20), source="s", origin="o")
    )


TRIXIE = {"source": "debian", "suite": "trixie", "version": "6.12.107-1"}


def test_a_kernel_of_a_supported_distribution_with_everything_known_is_low():
    made = facts("6.12.107+deb13-amd64", patches=PatchFacts("p", 0, 0, 0, 0), **TRIXIE)
    profile = one(made, records(record(1, introduced="7.1")), GOOD, hosts=())
    assert [p.text for p in profile.points if p.severity != "note"] == []
    assert profile.level == profile.level_text == "low"
    assert profile.supported_until == "2030-06-30"
    assert profile.lifecycle.lts is True
    assert profile.cves is not None
    assert profile.cves.open_count == 0
    evidence = profile.evidence()
    assert (evidence.risk, evidence.open_cves, evidence.image_signed) == ("low", 0, True)


def test_missing_data_never_makes_a_low_risk():
    made = facts("6.12.107+deb13-amd64", patches=PatchFacts("p", 0, 0, 0, 0), **TRIXIE)
    profile = one(made, None, GOOD, hosts=())
    assert profile.cves is None
    assert profile.level == "unknown"
    assert profile.level_text == "unknown (cves not assessed)"
    assert profile.summary().open_cves is None
    assert profile.evidence().risk is None
    (gap,) = [gap for gap in profile.gaps if gap.area == "cves"]
    assert "not assessed" in gap.text
    assert "import" in gap.remedy
    assert "configuration" in {gap.area for gap in one(made).gaps}


@pytest.mark.parametrize(
    ("release", "version", "suite", "upstream", "supported"),
    [
        ("5.4.302-generic", "", "", "ended", False),
        ("6.19.14", "", "", "presumed ended", False),
        ("7.0.13", "", "", "unknown", None),
        ("7.3.4", "", "", "unknown", None),
        ("9.9.1", "", "", "unknown", None),
        ("6.18.9", "", "", "supported", True),
        ("6.12.95+deb12-amd64", "6.12.95-1~bpo12+1", "bookworm-backports", "supported", True),
        ("6.1.0-50-amd64", "6.1.176-1", "bookworm", "supported", True),
        ("7.3-amd64", "7.3~rc7-1~exp1", "experimental", "not released", False),
        ("7.2.12+deb13-amd64", "7.2.12-1~bpo13+1", "trixie-backports", "unknown", None),
        ("5.14.0-611.5.1.el9_7.x86_64", "", "", "unknown", True),
        ("not a version", "", "", "unknown", None),
    ],
)
def test_support_is_what_the_data_says_and_unknown_where_it_says_nothing(
    release, version, suite, upstream, supported
):
    source = "debian" if suite else "vmlinuz"
    life = one(facts(release, version=version, suite=suite, source=source)).lifecycle
    assert (life.upstream, life.supported) == (upstream, supported)
    assert life.upstream_why


def test_no_end_of_support_is_invented():
    """The end of the newest series is announced nowhere: no date may come out."""
    for series in ("7.0", "7.1", "7.2", "7.3"):
        life = one(facts(f"{series}.4")).lifecycle
        assert (life.upstream_end, life.supported_until, life.lts) == (None, None, None)
        assert life.released.startswith("by 2026-")


def test_support_that_ends_within_a_rollout_counts():
    profile = one(facts("5.15.200", source="vmlinuz"))
    assert any("support ends in 38 days" in point.text for point in profile.points)
    later = one(facts("5.15.200"), today=date(2027, 1, 1))
    assert later.level == "high"
    assert any("nobody supports 5.15" in point.text for point in later.points)


def test_a_kernel_in_a_distribution_that_ships_another_is_not_its_own():
    made = facts("7.2.12", suite="trixie", source="debian", version="7.2.12-1")
    life = one(made).lifecycle
    assert life.security is False
    assert "ships 6.12, not 7.2" in life.distribution_why


def test_versions_of_a_distribution_that_carries_fixes_back_tell_no_cves():
    profile = one(facts("5.14.0-611.5.1.el9_7.x86_64"), records(record(1, introduced="5.4")), GOOD)
    assert profile.cves is None
    assert any("carries fixes back" in gap.text for gap in profile.gaps)
    assert profile.supported_until == "2032-05-31"


def test_open_cves_count_by_what_is_built_and_how_severe():
    made = facts("6.12.107+deb13-amd64", **TRIXIE)
    mild = one(made, records(record(1, introduced="5.4")), GOOD)
    severe = one(made, records(record(1, introduced="5.4", score=8.1)), GOOD)
    elsewhere = one(
        made, records(record(1, introduced="5.4", score=9.8, files=("fs/jfs/inode.c",))), GOOD
    )
    assert [p.severity for p in mild.in_area("cves")] == ["moderate"]
    assert [p.severity for p in severe.in_area("cves")] == ["high"]
    assert elsewhere.in_area("cves") == ()
    assert elsewhere.cves.not_built_count == 1


def test_records_that_end_before_the_series_came_out_say_so():
    made = records(record(1, introduced="5.4", mainline="7.0"))
    library = made.with_cves(
        replace(made.cves, source=replace(made.cves.source, as_of=date(2026, 8, 21)))
    )
    profile = one(facts("7.2.12"), library, GOOD)
    (gap,) = [gap for gap in profile.gaps if gap.area == "cves"]
    assert "before 7.2 is known to be out" in gap.text
    assert "cves" in profile.stale


def test_stale_data_says_so_by_the_day_it_is_read():
    fresh = one(facts("7.2.12"))
    later = one(facts("7.2.12"), today=TODAY + timedelta(days=400))
    assert fresh.stale == ()
    assert set(later.stale) == {"series", "distributions", "hardening", "paths", "modules"}
    assert all("STALE" in line for line in later.data)
    assert any("stale" in point.text for point in later.in_area("data"))


@pytest.mark.parametrize(
    ("changed", "severity", "said"),
    [
        ("CONFIG_CPU_MITIGATIONS=y", "high", "no boot parameter brings them back"),
        ("CONFIG_RANDOMIZE_BASE=y", "high", "KASLR"),
        ("CONFIG_STACKPROTECTOR_STRONG=y", "moderate", "return addresses"),
        ("CONFIG_MODULE_SIG=y", "moderate", "module signatures"),
        ("CONFIG_BPF_UNPRIV_DEFAULT_OFF=y", "moderate", "BPF"),
        ("CONFIG_SECURITY_LOCKDOWN_LSM=y", "moderate", "lockdown"),
        ("CONFIG_LIVEPATCH=y", "note", "live patches"),
    ],
)
def test_protection_that_a_configuration_lacks_is_named_against_the_baseline(
    changed, severity, said
):
    option = changed.removesuffix("=y")
    weak = GOOD.replace(changed, f"# {option} is not set")
    made = facts("7.2.12")
    _, profile = assess([Subject(made, GOOD), Subject(made, weak)], shipped(), today=TODAY)
    points = [p for p in profile.in_area("configuration") if said in p.text]
    assert [p.severity for p in points] == [severity]
    assert f"{option.removeprefix('CONFIG_')}=n, the baseline has y" in points[0].evidence
    gone = assess([Subject(made, GOOD.replace(changed + "\n", ""))], shipped(), today=TODAY)[0]
    assert any(said in p.text and "absent" in p.evidence for p in gone.points)


def test_an_option_that_a_series_did_not_have_yet_is_not_missed():
    old = GOOD.replace("CONFIG_MITIGATION_SPECTRE_V2=y\n", "")
    assert not any("Spectre v2" in p.text for p in one(facts("6.12.5"), None, old).points)
    assert any("Spectre v2" in p.text for p in one(facts("7.2.5"), None, old).points)


def test_boot_parameters_that_take_protection_away_count():
    profile = one(facts("7.2.12", cmdline=("mitigations=off", "quiet", "pti=on")), None, GOOD)
    assert [p.evidence for p in profile.points if p.severity == "high"] == [
        "boot parameter: mitigations=off"
    ]


@pytest.mark.parametrize(
    ("signature", "signed", "severity"),
    [
        (ImageSignature(True, True, ("x",)), True, None),
        (ImageSignature(True, False), False, "high"),
        (ImageSignature(False), False, "moderate"),
        (ImageSignature(None, note="why"), None, None),
    ],
)
def test_signatures(signature, signed, severity):
    profile = one(facts("7.2.12", signature=signature))
    assert profile.signed is signed
    found = [p.severity for p in profile.in_area("signature")]
    assert found == ([severity] if severity else [])
    assert (signed is None) == any(gap.area == "signature" for gap in profile.gaps)


def test_patches_count_by_number_and_by_mark():
    many = PatchFacts("series", 51, 100, 0, 9, (("kernel", 9),))
    assert one(facts("7.2.12", patches=many)).in_area("patches")[0].severity == "high"
    few = PatchFacts("series", 2, 100, 0, 9, (("kernel", 9),), ("lost.patch",))
    texts = [p.text for p in one(facts("7.2.12", patches=few)).in_area("patches")]
    assert len(texts) == 2
    assert "1 patches of the series are missing" in texts[1]
    marked = one(facts("7.0.3-1-cachyos"))
    assert marked.patched is True
    assert marked.extra_patches is None
    assert "CachyOS (`-cachyos`)" in marked.in_area("patches")[0].text
    assert one(facts("7.0.3")).patched is None


HOSTS = """
[[host]]
name = "gpu1"
release = "7.0.13"
tainted = 12289
modules = ["weka", { name = "nvidia", taint = "POE", version = "580.95" }]
livepatches = ["livepatch_cve"]

[[host.dkms]]
module = "zfs"
version = "2.4.1"
kernel = "7.2.12"
status = "installed"

[[support]]
project = "NVIDIA driver"
series = ["7.3"]
status = "fails"
source = "our build of 2026-11-20"
date = 2026-11-20
"""


def test_modules_of_hosts_are_held_against_each_kernel():
    hosts, support = parse_hosts(HOSTS, "hosts.toml")
    library = shipped().with_support(support)
    here = one(facts("7.2.12"), library, hosts=hosts)
    assert {m.project: m.status for m in here.modules} == {
        "OpenZFS": "builds",
        "NVIDIA driver": "unknown",
        "weka": "unknown",
    }
    newer = one(facts("7.3.4"), library, GOOD.replace("LIVEPATCH=y", "LIVEPATCH=n"), hosts=hosts)
    failing = next(m for m in newer.modules if m.project == "NVIDIA driver")
    assert (failing.status, failing.version, failing.date) == ("fails", "580.95", "2026-11-20")
    texts = " | ".join(p.text for p in newer.points)
    assert "NVIDIA driver 580.95 does not build for this kernel (in use on gpu1)" in texts
    assert "gpu1 uses live patches; this kernel takes none" in texts
    assert "a proprietary module" in texts
    shipped_too = PackageFacts("pacman", "linux-cachyos-nvidia-open", "7.1.2-1")
    given = one(facts("7.1.2", packages=(shipped_too,)), library, hosts=hosts)
    assert next(m for m in given.modules if m.project == "NVIDIA driver").status == "builds"
    assert one(facts("7.2.12")).modules is None


def test_a_host_may_be_json_as_the_inventory_prints_it():
    from dataclasses import asdict
    from json import dumps

    host = HostFacts(
        "n1", "7.0", 0, (HostModule("zfs", "PO", "2"),), (DkmsEntry("zfs", "2", "7.0", "built"),)
    )
    assert parse_hosts(dumps(asdict(host)), "x")[0] == (host,)
    assert parse_hosts(dumps([asdict(host)] * 2), "x")[0] == (host, host)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[host]]\nname = 3", "`name` is missing or wrong"),
        ("[[host]]\nnam = 'a'", "`nam` is missing or wrong"),
        ("host = []", "`host` is missing or wrong"),
        ("[[host]]\nname='a'\nmodules=[3]", "`modules`"),
        ("[[host]]\nname='a'\ntainted='x'", "`tainted`"),
        ("[[host]]\nname='a'\ndkms=[{}]", "`dkms`"),
        ("[[host]]\nname='a'\n[[support]]\nproject='p'\nseries=['7.2']\nstatus='ok'", "`status`"),
        (
            "[[host]]\nname='a'\n[[support]]\nproject='p'\nseries=['7.2']\nstatus='builds'\n"
            "source='s'",
            "`date`",
        ),
        ("{", "neither valid TOML nor valid JSON"),
        ("bogus = 1", "`bogus`"),
    ],
)
def test_a_wrong_hosts_file_names_what_is_wrong(text, said):
    with pytest.raises(UsageError) as caught:
        parse_hosts(text, "hosts.toml")
    assert said in str(caught.value)
    assert "hosts.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("series", 'schema = 1\nsource = "x"', "`as_of`"),
        ("series", 'schema = 2\nas_of = 2026-01-01\nsource = "x"', "`schema`"),
        ("series", "schema = 1\nas_of = 2026-01-01", "`source`"),
        ("series", 'schema=1\nas_of=2026-12-01\nsource="x"\n[series."7.9"]\neol="soon"', "`eol`"),
        ("distributions", 'schema=1\nas_of=2026-12-01\nsource="x"\n[[distribution]]', "`name`"),
        ("hardening", "schema = ", "not valid TOML"),
    ],
)
def test_a_wrong_table_is_refused_with_its_key(name, text, said):
    with pytest.raises(UsageError) as caught:
        shipped().with_tables({name: text}, "bundle.tar")
    assert said in str(caught.value)
    assert "bundle.tar" in str(caught.value)


def test_the_newer_table_counts():
    head = 'schema = 1\nsource = "kernel.org"\nas_of = '
    entry = '\n[series."7.2"]\nlts = true\neol = "2028-12"\n'
    newer = shipped().with_tables({"series": head + "2026-11-22" + entry}, "bundle")
    older = shipped().with_tables({"series": head + "2025-11-22" + entry}, "bundle")
    assert one(facts("7.2.12"), newer).supported_until == "2028-12"
    assert one(facts("7.2.12"), older).supported_until is None
