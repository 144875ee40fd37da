"""`kernleap kernels`: which kernels there are, fetching them, looking at one."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from kernleap.cli import _options
from kernleap.model.kernel import Arch, KernelImage

if TYPE_CHECKING:
    from rich.console import Console

    from kernleap.kernel import Progress
    from kernleap.kernel.listing import Listing


@click.group(name="kernels")
def command() -> None:
    """List, fetch and show kernels.

    \b
    Example:
      kernleap kernels list
      kernleap kernels show debian:7.2
    """


@command.command(name="list")
@_options.as_json
@click.option("--all", "every", is_flag=True, help="Every release and flavour.")
@_options.arch
@_options.offline
def list_command(as_json: bool, every: bool, arch: str, offline: bool) -> None:
    """The series Debian's archive has, with the newest release of each.

    \b
    Example:
      kernleap kernels list --all --json
    """
    from kernleap import kernel
    from kernleap.kernel.listing import list_kernels

    listing = list_kernels(Arch(arch), every=every, offline=kernel.is_offline(offline))
    if as_json:
        _print_json(
            {
                "arch": listing.arch.value,
                "index_made": _time(listing.made),
                "kernels": [asdict(entry) for entry in listing.kernels],
                "notes": list(listing.notes),
            }
        )
        return
    _print_listing(listing)


@command.command()
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@_options.as_json
@_options.arch
@_options.offline
def fetch(refs: tuple[str, ...], as_json: bool, arch: str, offline: bool) -> None:
    """Bring kernels into the cache.

    \b
    Example:
      kernleap kernels fetch debian:7.0 debian:7.2
    """
    from kernleap import kernel

    parsed = [kernel.parse_ref(ref) for ref in refs]
    images = []
    for ref in parsed:
        with _progress() as report:
            images.append(
                kernel.obtain(ref.base, arch=Arch(arch), offline=offline, progress=report)
            )
    if as_json:
        _print_json([_facts(image) for image in images])
        return
    for image in images:
        click.echo(f"{image.ref}  {image.release}  sha256:{image.sha256}")
        for note in image.notes:
            click.echo(f"  note: {note}")


@command.command()
@click.argument("ref", metavar="REF")
@_options.as_json
@_options.arch
@_options.offline
def show(ref: str, as_json: bool, arch: str, offline: bool) -> None:
    """Release, digest, provenance and configuration of a kernel; fetches it if need be.

    \b
    Example:
      kernleap kernels show debian:7.2.12+deb13-cloud-amd64
    """
    from rich.markup import escape
    from rich.table import Table

    from kernleap import kernel

    parsed = kernel.parse_ref(ref)
    with _progress() as report:
        image = kernel.obtain(parsed, arch=Arch(arch), offline=offline, progress=report)
    facts = _facts(image)
    if as_json:
        _print_json(facts)
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    provenance = image.provenance
    rows = [
        ("release", image.release),
        ("architecture", image.arch.value),
        ("sha256", image.sha256),
        ("source", provenance.source),
        ("package", f"{provenance.package} {provenance.version}".strip()),
        ("suite", provenance.suite),
        ("package sha256", provenance.package_sha256),
        ("image in it", provenance.path),
        ("modifiers", " ".join(str(modifier) for modifier in parsed.modifiers)),
        ("image in the cache", str(image.vmlinuz)),
        ("configuration", str(image.kconfig or "not carried by this source")),
    ]
    rows += [(row["name"], row["value"]) for row in facts["config_highlights"]]
    rows += [("note", note) for note in image.notes]
    for name, value in rows:
        if value:
            table.add_row(f"[dim]{escape(name)}[/dim]", escape(value))
    _console().print(table)


def _facts(image: KernelImage) -> dict[str, Any]:
    """What is known of a kernel, as JSON."""
    from kernleap.kernel import kconfig

    config = image.kconfig.read_bytes() if image.kconfig else b""
    return {
        "ref": str(image.ref),
        "release": image.release,
        "arch": image.arch.value,
        "sha256": image.sha256,
        "size_bytes": image.vmlinuz.stat().st_size,
        "path": str(image.vmlinuz),
        "provenance": asdict(image.provenance),
        "kconfig_path": str(image.kconfig) if image.kconfig else None,
        "kconfig_sha256": hashlib.sha256(config).hexdigest() if config else None,
        "config_highlights": [
            asdict(row) for row in kconfig.highlights(config.decode("utf-8", "replace"))
        ]
        if config
        else [],
        "notes": list(image.notes),
    }


def _print_listing(listing: Listing) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("series", "release", "version", "suite"):
        table.add_column(heading, no_wrap=True)
    table.add_column("MB", justify="right")
    table.add_column("cached")
    for entry in listing.kernels:
        table.add_row(
            escape(entry.series),
            escape(entry.release),
            escape(entry.version),
            escape(entry.suite or "gone from the archive"),
            f"{entry.size_bytes / 1e6:.1f}",
            "yes" if entry.cached else "",
        )
    console = _console()
    console.print(table)
    for note in listing.notes:
        console.print(f"[dim]note: {escape(note)}[/dim]")


def _console() -> Console:
    from rich.console import Console

    # Without a terminal nothing is to be cut or folded at 80 columns.
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, sort_keys=True))


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on standard error while bytes come in; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(escape(what), total=total or None)
            bars.update(tasks[what], completed=done)

        yield report
