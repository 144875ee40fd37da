"""Bundles of risk data: made, imported, refused; what is kept and what is said of it."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import replace
from datetime import date

import pytest

from kernel_packages import tar
from kernleap import cli
from kernleap.archive.bundle import pack_bundle, read_bundle
from kernleap.cli import _risk
from kernleap.model.errors import InfrastructureError, TamperedError, UsageError
from kernleap.model.kernel_facts import HostFacts, HostModule, PatchFacts
from kernleap.model.run import ArmInputs
from kernleap.report import terminal_risk
from kernleap.report.risk import risk_view
from kernleap.risk.as_json import to_json
from kernleap.risk.assess import Subject, assess
from kernleap.risk.library import shipped
from kernleap.store import RunStore
from kernleap.store.facts_file import write_facts
from risk_data import TODAY, as_files, facts, manifest, record, tar_bundle, zip_bundle
from simulated import run_of

SERIES = b"""\
schema = 1
as_of = 2026-11-21
source = "kernel.org"
[series."7.2"]
lts = true
eol = "2028-12"
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNLEAP_RISK_DATA", str(tmp_path / "risk"))
    return tmp_path / "risk"


def files():
    return {"series.toml": SERIES, **as_files(record(1, introduced="6.4"))}


@pytest.mark.parametrize("make", [tar_bundle, zip_bundle])
def test_an_imported_bundle_is_used_from_then_on(make, tmp_path, capsys, home):
    path = make(tmp_path / "bundle", files())
    assert cli.run(["risk", "data", "import", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["cves"] == {"records": 1, "rejected": 0, "unreadable": 0, "foreign": 0}
    rows = {row["table"]: row for row in said["tables"]}
    assert rows["series"]["as_of"] == "2026-11-21"
    assert rows["cves"]["as_of"] == "2026-11-20"
    assert rows["hardening"]["origin"] == "shipped"
    library = _risk.library()
    assert library.series["7.2"].lts is True
    assert [item.id for item in library.cves.records] == ["CVE-2026-00001"]
    path.unlink()  # nothing of the bundle itself is needed any more
    assert cli.run(["risk", "data", "show"]) == 0
    assert "1 records" in capsys.readouterr().out


def test_without_a_bundle_it_says_that_cves_are_not_assessed(capsys):
    assert cli.run(["risk", "data", "show"]) == 0
    assert "CVEs are not assessed" in capsys.readouterr().out


def test_pack_and_import_are_each_others_inverse(tmp_path, capsys):
    for name, data in files().items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in/notes.txt").write_text("left out")
    arguments = ["--as-of", "2026-11-20", "--source", "by hand"]
    for target in ("a.tar", "b.tar", "c.tar.xz"):
        assert cli.run(["risk", "data", "pack", str(tmp_path / "in"), str(tmp_path / target),
                        *arguments]) == 0  # fmt: skip
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    bundle = read_bundle(tmp_path / "c.tar.xz", lambda _: True)
    assert (bundle.files, bundle.as_of, bundle.source) == (files(), date(2026, 11, 20), "by hand")
    assert cli.run(["risk", "data", "pack", str(tmp_path / "in"), "x", "--as-of", "soon",
                    "--source", "s"]) == 2  # fmt: skip
    assert "--as-of is no day" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="nothing to pack"):
        pack_bundle(tmp_path / "none", tmp_path / "x.tar", as_of=TODAY, source="s")


def link() -> tarfile.TarInfo:
    info = tarfile.TarInfo("series.toml")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


def hostile_tar(path, *members):
    path.write_bytes(tar(list(members)))
    return path


def zip_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}.json", b"0" * (8 << 20))
    return path


ABOUT = ("manifest.json", manifest({"series.toml": SERIES}))
HOSTILE = {
    "its digest": lambda p: tar_bundle(p, {"series.toml": b"x"}, manifest({"series.toml": SERIES})),
    "not named": lambda p: tar_bundle(p, files(), manifest({"series.toml": SERIES})),
    "missing": lambda p: tar_bundle(p, {}, manifest({"series.toml": SERIES})),
    "no manifest of that kind": lambda p: tar_bundle(p, files(), b"[]"),
    "manifest schema": lambda p: tar_bundle(p, files(), manifest(files(), schema=2)),
    "manifest date": lambda p: tar_bundle(p, files(), manifest(files(), as_of="soon")),
    "climbs": lambda p: hostile_tar(p, ABOUT, ("../series.toml", SERIES)),
    "absolute": lambda p: hostile_tar(p, ABOUT, ("/series.toml", SERIES)),
    "a link": lambda p: hostile_tar(p, ABOUT, link()),
    "twice": lambda p: hostile_tar(p, ABOUT, ("series.toml", SERIES), ("./series.toml", SERIES)),
    "too large": lambda p: hostile_tar(p, ABOUT, ("x.json", b"0" * (17 << 20))),
    "bomb": zip_bomb,
    "cut short": lambda p: p.write_bytes(tar_bundle(p, files()).read_bytes()[:700]) and p,
    "nonsense": lambda p: p.write_bytes(b"PK\x03\x04 nonsense") and p,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_bundle_that_is_damaged_or_hostile_changes_nothing(kind, tmp_path, home, capsys):
    path = HOSTILE[kind](tmp_path / "bundle")
    with pytest.raises(TamperedError, match="the bundle is refused"):
        _risk.import_bundle(path)
    assert not home.exists()
    assert cli.run(["risk", "data", "import", str(path)]) == 20


def test_a_bundle_with_a_wrong_table_changes_nothing(tmp_path, home):
    wrong = {**files(), "distributions.toml": b"schema = 1"}
    with pytest.raises(UsageError, match="as_of"):
        _risk.import_bundle(tar_bundle(tmp_path / "bundle", wrong))
    assert not home.exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nothing", "no such bundle"),
        ("empty", "holds no risk data"),
        ("plain.tar", "has no manifest"),
        ("text.json", "this is no bundle"),
        ("blank", "this is no bundle"),
    ],
)
def test_what_is_no_bundle_is_said(given, says, tmp_path, home, capsys):
    (tmp_path / "empty").mkdir()
    hostile_tar(tmp_path / "plain.tar", ("series.toml", SERIES))
    (tmp_path / "text.json").write_text("{}\n" * 400)
    (tmp_path / "blank").touch()
    assert cli.run(["risk", "data", "import", str(tmp_path / given)]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "  next:" in said
    assert not home.exists()


def test_a_clone_of_the_cnas_repository_needs_no_manifest(tmp_path):
    for name, data in as_files(record(7, introduced="6.4")).items():
        (tmp_path / "vulns" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "vulns" / name).write_bytes(data)
    library = _risk.library(tmp_path / "vulns")
    assert library.cves.source.as_of == date(2026, 11, 20)
    assert len(library.cves.records) == 1


PATCHES = PatchFacts("<b>series</b>", 3, 1, 1, 1, (("mm", 1),))


def profiles():
    library = shipped()
    hosts = (HostFacts("gpu<1>", "7.0", 1),)
    cachy = facts("7.2.1-1-cachyos-<script>", patches=PATCHES)
    subjects = [Subject(facts("6.12.107"), "CONFIG_NET=y\n"), Subject(cachy)]
    return assess(subjects, library, hosts=hosts, today=TODAY)


def test_the_page_and_the_terminal_show_the_same_and_trust_no_text():
    from rich.console import Console

    from kernleap.report import html

    view = risk_view(profiles())
    assert view is not None
    page = html.environment().get_template("risk.html.j2").module.risk_section(view)
    stream = io.StringIO()
    terminal_risk.render_risk(view, Console(file=stream, width=300), everything=True)
    text = stream.getvalue()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    for said in ("3 patches on top of upstream", "not assessed: no CVE records", "CachyOS"):
        assert said in text
        assert said in page
    assert all(line.split(" (")[0] in text for line in view.data)
    assert risk_view(()) is None


def test_facts_stored_with_a_run_are_judged_later_and_their_absence_is_said(tmp_path):
    inputs = tuple(
        ArmInputs(arm, release, "0" * 64, {"source": "vmlinuz"})
        for arm, release in (("baseline", "6.12.107"), ("new", "7.2.12"))
    )
    run = run_of({"baseline": [], "new": []}, regions=(), inputs=inputs)
    store = RunStore.create(replace(run.plan, trials=()), {})
    before = _risk.run_profiles(store.load())
    assert [profile.signed for profile in before.values()] == [None, None]
    assert any("without gathering facts" in gap.text for gap in before["new"].gaps)
    hosts = (HostFacts("n1", "7.0", 0, (HostModule("zfs", "PO"),)),)
    write_facts(
        store.path,
        [facts("6.12.107", arm="baseline"), facts("7.2.12", arm="new", patches=PATCHES)],
        hosts,
    )
    after = _risk.run_profiles(RunStore.open(store.path).load())
    assert list(after) == ["baseline", "new"]
    assert (after["new"].signed, after["new"].extra_patches) == (True, 3)
    assert [module.project for module in after["new"].modules or ()] == ["OpenZFS"]
    (store.path / "facts.json").write_text('{"kernels": 3}')
    with pytest.raises(InfrastructureError):
        store.load()


def test_json_has_every_point_and_null_for_what_is_not_known():
    first, second = (to_json(profile) for profile in profiles())
    assert first["lifecycle"]["supported_until"] == "2028-12"
    assert second["lifecycle"]["supported_until"] is None
    assert second["patches"]["patches"] == 3
    assert second["cves"] is None
    assert json.loads(json.dumps(second)) == json.loads(json.dumps(second, default=str))
    assert {point["severity"] for point in second["points"]} <= {"high", "moderate", "note"}
