"""What the risk verb and the reports share: the library as imported, bundles, facts of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kernleap import paths
from kernleap.model.errors import KernleapError, TamperedError, UsageError

if TYPE_CHECKING:
    from kernleap.cli._progress import Show
    from kernleap.model.kernel import KernelImage
    from kernleap.model.kernel_facts import HostFacts
    from kernleap.model.risk import RiskSummary
    from kernleap.model.run import RunData
    from kernleap.risk.library import Library
    from kernleap.risk.profile import RiskProfile
    from kernleap.risk.tables import Support
    from kernleap.store import RunStore

CVES_FILE = "cves.json"
_CVE = re.compile(r"(?:.*/)?CVE-\d{4}-\d+\.json")
_TABLE = re.compile(r"(?:.*/)?(series|distributions|hardening|paths|modules)\.toml")


def today() -> date:
    """The day on which risk is judged."""
    return datetime.now(UTC).date()


def library(bundle: Path | None = None) -> Library:
    """The shipped tables, those imported, and those of a bundle; the newest of each counts.

    Raises:
        UsageError, TamperedError: the bundle or what was imported cannot be used.
    """
    from kernleap.risk.cve_store import load
    from kernleap.risk.library import TABLES, shipped

    found = shipped()
    home = paths.risk_dir()
    texts, cves = {}, home / CVES_FILE
    try:
        for name in TABLES:
            if (home / f"{name}.toml").is_file():
                texts[name] = (home / f"{name}.toml").read_text("utf-8")
        data = cves.read_bytes() if cves.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the imported risk data cannot be read", where=str(home)) from error
    found = found.with_tables(texts, f"imported, {home}")
    if data is not None:
        found = found.with_cves(load(data, str(cves)))
    return with_bundle(found, bundle)[0] if bundle else found


def with_bundle(into: Library, path: Path) -> tuple[Library, dict[str, str]]:
    """A library with a bundle's tables and CVE records; and the tables' texts.

    Raises:
        UsageError: it holds nothing of use. TamperedError: it is not what its manifest says.
    """
    from kernleap.archive.bundle import read_bundle
    from kernleap.risk.cve_store import read_records

    bundle = read_bundle(path, lambda name: bool(_CVE.fullmatch(name) or _TABLE.fullmatch(name)))
    texts = {}
    for name, data in bundle.files.items():
        if match := _TABLE.fullmatch(name):
            try:
                texts[match[1]] = data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise TamperedError(
                    "a table of the bundle is no text", where=f"{path}: {name}"
                ) from error
    records = [(name, data) for name, data in bundle.files.items() if _CVE.fullmatch(name)]
    if not texts and not records:
        raise UsageError(
            "the bundle holds no risk data",
            where=str(path),
            cause="neither tables (series.toml, ...) nor CVE records (CVE-*.json)",
            next_step="give a bundle, or a clone of the kernel CNA's vulns.git",
        )
    found = into.with_tables(texts, path.name)
    if records:
        source = bundle.source or "records of the kernel's CNA"
        cves = read_records(records, as_of=bundle.as_of, source=source, origin=path.name)
        found = found.with_cves(cves)
    return found, texts


def import_bundle(path: Path) -> Library:
    """Take a bundle over for good: its tables as they are, its CVE records in compact form.

    Raises:
        UsageError, TamperedError: as `with_bundle`; nothing is taken over then.
    """
    from kernleap.risk.cve_store import dump
    from kernleap.store.write import write_atomically

    before = library()
    after, texts = with_bundle(before, path)
    home = paths.risk_dir()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot keep risk data: {error.strerror}",
            where=str(home),
            next_step="set KERNLEAP_RISK_DATA to a directory that can be written",
        ) from error
    for name, text in texts.items():
        if after.sources[name] != before.sources.get(name):
            write_atomically(home / f"{name}.toml", text.encode(), replace=True)
    if after.cves is not None and after.cves is not before.cves:
        write_atomically(home / CVES_FILE, dump(after.cves), replace=True)
    return after


def read_hosts(given: str | None) -> tuple[tuple[HostFacts, ...] | None, tuple[Support, ...]]:
    """Hosts of `--hosts`: a file, or `local` for this machine. None if none were named.

    Raises:
        UsageError: the file cannot be read, or is wrong.
    """
    from kernleap.risk.hosts_file import parse_hosts

    if given is None:
        return None, ()
    if given == "local":
        from kernleap.machine.inventory import inventory

        return (inventory(),), ()
    try:
        text = Path(given).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot read the hosts file",
            where=given,
            cause=str(error),
            next_step="give a TOML or JSON file, or `local`",
        ) from error
    return parse_hosts(text, given)


def keep_facts(store: RunStore, images: Mapping[str, KernelImage], show: Show) -> None:
    """Store with a run what judging its risk needs. What cannot be gathered does not stop a run."""
    from kernleap.kernel.facts import gather_facts
    from kernleap.store.facts_file import write_facts

    facts = []
    for one in store.plan.inputs:
        ref = store.plan.arm(one.arm).ref
        try:
            facts.append(gather_facts(images[one.key], ref, arm=one.key))
        except KernleapError as error:
            show.say(f"note: facts for the risk of {one.key} are missing: {error.what}")
    write_facts(store.path, facts)


def run_profiles(run: RunData, bundle: Path | None = None) -> dict[str, RiskProfile]:
    """The risk of a stored run's kernels, by their keys (ArmInputs.key), as of today."""
    from kernleap.judge.confounders import confounders
    from kernleap.risk.of_run import profiles_of_run

    return profiles_of_run(run, library(bundle), confounders, today=today())


def risks(run: RunData) -> dict[str, RiskSummary]:
    """The same in few words, by arm; of an arm on several architectures the first that is known."""
    profiles = run_profiles(run)
    found: dict[str, RiskSummary] = {}
    for one in run.plan.inputs:
        if one.key in profiles:
            found.setdefault(one.arm, profiles[one.key].summary())
    return found
