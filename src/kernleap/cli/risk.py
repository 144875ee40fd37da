"""`kernleap risk`: what is taken on with a kernel, and the data that this rests on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli import _options
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch

if TYPE_CHECKING:
    from kernleap.model.kernel_facts import KernelFacts
    from kernleap.risk.assess import Subject
    from kernleap.risk.library import Library


class _Verb(click.Group):
    """A group in which everything that is no subcommand is a kernel: `risk REF...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(name="risk", cls=_Verb)
def command() -> None:
    """Say what is taken on with a kernel: support, patches, configuration, CVEs, modules.

    `kernleap risk REF...` compares every kernel with the first (docs/risk.md).

    \b
    Example:
      kernleap risk debian:7.0 debian:7.2 --bundle vulns/ --hosts local
      kernleap risk data import bundle.tar.xz
    """


@command.command()
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_options.as_json
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="CVE records and tables for this once: a bundle, or a directory (a clone of vulns.git).",
)
@click.option("--hosts", help="Hosts whose modules count: a TOML or JSON file, or `local`.")
@click.option(
    "--patches",
    multiple=True,
    metavar="REF=PATH",
    help="Patches of a kernel: a series file, a directory of patches, a diff. Repeatable.",
)
@click.option(
    "--tree",
    type=click.Path(path_type=Path),
    help="A kernel source tree: its makefiles say exactly what a configuration builds.",
)
@click.option("--all", "everything", is_flag=True, help="Every note, and the CVEs that are open.")
@_options.arch
@_options.offline
def show(refs: tuple[str, ...], as_json: bool, everything: bool, **options: Any) -> None:
    """Assess kernels; the same as `kernleap risk REF...`.

    \b
    Example:
      kernleap risk show debian:7.2 pacman:linux-cachyos.pkg.tar.zst --json
    """
    from rich.console import Console

    from kernleap.cli import _risk
    from kernleap.report.risk import risk_view
    from kernleap.report.terminal_risk import render_risk
    from kernleap.risk.as_json import to_json
    from kernleap.risk.assess import assess

    hosts, support = _risk.read_hosts(options["hosts"])
    library = _risk.library(options["bundle"]).with_support(support)
    day = _risk.today()
    subjects = _subjects(refs, options, library)
    profiles = assess(subjects, library, hosts=hosts, today=day)
    if as_json:
        click.echo(json.dumps([to_json(profile) for profile in profiles], indent=2))
        return
    view = risk_view(profiles)
    if view is not None:
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        render_risk(view, console, everything=everything)


def _subjects(refs: Sequence[str], options: dict[str, Any], library: Library) -> list[Subject]:
    from kernleap import kernel
    from kernleap.cli import _risk
    from kernleap.judge.confounders import config_differences
    from kernleap.kernel.facts import gather_facts
    from kernleap.risk.assess import Subject, sources_of_interest

    parsed = [kernel.parse_ref(text) for text in refs]
    patches = _patches(options["patches"], refs)
    gathered: list[tuple[KernelFacts, str | None]] = []
    for text, ref in zip(refs, parsed, strict=True):
        image = kernel.obtain(ref.base, arch=Arch(options["arch"]), offline=options["offline"])
        config = image.kconfig.read_text("utf-8", "surrogateescape") if image.kconfig else None
        gathered.append((gather_facts(image, ref, arm=text, patches=patches.get(text)), config))
    baseline = gathered[0][1]
    subjects = [
        Subject(facts, config, config_differences(baseline, config) if number else ())
        for number, (facts, config) in enumerate(gathered)
    ]
    tree = options["tree"] or next((Path(r.name) for r in parsed if r.source == "tree"), None)
    files = sources_of_interest(subjects, library, _risk.today())
    if tree is None or not files:
        return subjects
    conditions = _conditions(tree, files, given=options["tree"] is not None)
    return [Subject(s.facts, s.kconfig, s.confounders, conditions) for s in subjects]


def _conditions(
    tree: Path, files: list[str], *, given: bool
) -> dict[str, tuple[tuple[str, ...], ...] | None] | None:
    """Of a `tree:` that is only a build directory (O=), there are no makefiles to read."""
    from kernleap.kernel.kbuild import conditions

    try:
        return conditions(tree.expanduser(), files)
    except UsageError:
        if given:
            raise
        return None


def _patches(given: Sequence[str], refs: Sequence[str]) -> dict[str, Path]:
    found = {}
    for text in given:
        ref = next((r for r in sorted(refs, key=len, reverse=True) if text.startswith(f"{r}=")), "")
        if not ref and len(refs) == 1:
            ref, path = refs[0], text
        elif ref:
            path = text[len(ref) + 1 :]
        else:
            raise UsageError(
                "--patches does not say whose patches they are",
                where=text,
                next_step=f"write --patches {refs[-1]}=PATH",
            )
        found[ref] = Path(path).expanduser()
    return found


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a hosts file.")
def inventory(as_json: bool) -> None:
    """Say which modules from outside the tree this machine uses.

    \b
    Example:
      ssh node1 kernleap risk inventory --json > node1.json
    """
    from kernleap.machine import inventory as machine

    facts = machine.inventory()
    if as_json:
        click.echo(json.dumps(asdict(facts), indent=2))
        return
    click.echo(f"{facts.name} runs {facts.release}, taint {facts.tainted}")
    for module in facts.modules:
        click.echo(f"  {module.name} {module.version} ({module.taint})".rstrip())
    for entry in facts.dkms or ():
        click.echo(f"  dkms: {entry.module} {entry.version} {entry.kernel} {entry.status}")
    for note in facts.notes:
        click.echo(f"  note: {note}")


@command.group(name="data")
def data_group() -> None:
    """The dated tables and CVE records that risk rests on.

    \b
    Example:
      kernleap risk data show
    """


@data_group.command(name="show")
@_options.as_json
def data_show(as_json: bool) -> None:
    """Every table: its date, its age, where it comes from, and whether it is stale.

    \b
    Example:
      kernleap risk data show --json
    """
    from kernleap.cli import _risk

    _print_data(_risk.library(), as_json)


@data_group.command(name="import")
@click.argument("bundle", type=click.Path(path_type=Path))
@_options.as_json
def data_import(bundle: Path, as_json: bool) -> None:
    """Take over the tables and CVE records of BUNDLE; needs no network.

    \b
    Example:
      kernleap risk data import kernel-risk-2026-11-20.tar.xz
    """
    from kernleap.cli import _risk

    _print_data(_risk.import_bundle(bundle), as_json)


@data_group.command(name="pack")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--as-of", required=True, help="Day on which the data held, YYYY-MM-DD.")
@click.option("--source", required=True, help="Where the data comes from.")
def data_pack(directory: Path, bundle: Path, as_of: str, source: str) -> None:
    """Make a bundle of the TOML and JSON files in DIRECTORY, with their digests.

    \b
    Example:
      kernleap risk data pack vulns/cve/published cves.tar.xz \\
        --as-of 2026-11-20 --source "vulns.git, 3f2a9c1"
    """
    from kernleap.archive.bundle import pack_bundle

    try:
        day = datetime.strptime(as_of, "%Y-%m-%d").date()
    except ValueError as error:
        raise UsageError("--as-of is no day", where=as_of, next_step="YYYY-MM-DD") from error
    count = pack_bundle(directory, bundle, as_of=day, source=source)
    click.echo(f"{count} files in {bundle}")


def _print_data(library: Library, as_json: bool) -> None:
    from kernleap.cli import _risk

    day = _risk.today()
    cves = library.cves
    if as_json:
        rows = [
            {
                "table": source.name,
                "as_of": source.as_of.isoformat() if source.as_of else None,
                "age_days": source.age_days(day),
                "stale": source.stale(day),
                "source": source.source,
                "origin": source.origin,
            }
            for source in library.sources.values()
        ]
        counts = None
        if cves:
            counts = {
                "records": len(cves.records),
                "rejected": cves.rejected,
                "unreadable": cves.unreadable,
                "foreign": cves.foreign,
            }
        click.echo(json.dumps({"tables": rows, "cves": counts}, indent=2))
        return
    for source in library.sources.values():
        click.echo(source.said(day))
        click.echo(f"  {source.source}")
    if cves is None:
        click.echo("cves: none imported; CVEs are not assessed (kernleap risk data import BUNDLE)")
    else:
        click.echo(
            f"  {len(cves.records)} records; {cves.rejected} rejected by the CNA, "
            f"{cves.unreadable} unreadable, {cves.foreign} not of the kernel"
        )
