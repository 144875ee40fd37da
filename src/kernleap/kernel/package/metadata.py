"""What packages say of themselves: names, versions, builders. Read as hostile input."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kernleap.archive import deb
from kernleap.archive.limits import Damaged
from kernleap.archive.member import Kind, Member, Unsafe, inside
from kernleap.kernel.package import pacman, rpm
from kernleap.model.errors import TamperedError, UsageError
from kernleap.model.kernel_facts import PackageFacts

_MAX_TEXT_BYTES = 4 << 20
_MAX_VALUE = 300
_TOOLCHAIN = re.compile(r"(?:gcc|clang|llvm|lld|binutils|rust)-\d[\w.+:~]*-\S+")


class _Done(Exception):  # noqa: N818 - no error: all that was wanted has been read
    pass


class _Texts:
    """Keeps the few texts in front of an archive and stops behind them."""

    def __init__(self, wanted: frozenset[str], stop: Callable[[str], bool]) -> None:
        self.found: dict[str, str] = {}
        self._wanted = wanted
        self._stop = stop

    def visit(self, member: Member, read: Callable[[], bytes]) -> None:
        try:
            path = inside(member.name)
        except Unsafe as error:
            raise Damaged(str(error)) from None
        if self._stop(path):
            raise _Done
        if path not in self._wanted or member.kind is not Kind.FILE:
            return
        if not 0 <= member.size <= _MAX_TEXT_BYTES:
            raise Damaged(f"{path} of {member.size:,} bytes")
        self.found[path] = read().decode("utf-8", "replace")
        if self._wanted <= self.found.keys():
            raise _Done


def read_metadata(paths: Sequence[Path], family: str) -> tuple[PackageFacts, ...]:
    """What each package says of itself, in order.

    Args:
        family: `deb`, `rpm` or `pacman`.

    Raises:
        UsageError: a file cannot be read. TamperedError: it is damaged or hostile.
    """
    readers = {"deb": _deb, "rpm": _rpm, "pacman": _pacman}
    found = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                found.append(readers[family](stream, path))
        except (Damaged, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise TamperedError(
                f"not a whole {family} package: {error}",
                where=str(path),
                cause="the download was cut short, or the file is of another kind",
                next_step="get the package again",
            ) from error
        except OSError as error:
            raise UsageError(
                f"cannot read the package: {error.strerror or error}", where=str(path)
            ) from error
    return tuple(found)


def _deb(stream: IO[bytes], path: Path) -> PackageFacts:
    texts = _Texts(frozenset({"control"}), lambda _: False)
    with suppress(_Done):
        deb.scan_control(stream, str(path), texts)
    fields = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", texts.found.get("control", ""), re.M))
    if "Package" not in fields:
        raise Damaged("its control file names no package")
    source = fields.get("Source", "").split(" ", 1)[0]
    return PackageFacts(
        family="deb",
        name=_clean(fields["Package"]),
        version=_clean(fields.get("Version", "")),
        arch=_clean(fields.get("Architecture", "")),
        base=_clean(source or fields["Package"]),
        vendor=_clean(fields.get("Maintainer", "")),
        description=_clean(fields.get("Description", "")),
    )


def _rpm(stream: IO[bytes], _path: Path) -> PackageFacts:
    texts, signed = rpm.describe(stream)
    if not texts.get("name"):
        raise Damaged("its header names no package")
    version = f"{texts.get('version', '')}-{texts.get('release', '')}".strip("-")
    return PackageFacts(
        family="rpm",
        name=_clean(texts["name"]),
        version=_clean(version),
        arch=_clean(texts.get("arch", "")),
        base=_clean(texts.get("sourcerpm", "")),
        vendor=_clean(texts.get("vendor", "") or texts.get("packager", "")),
        distribution=_clean(texts.get("distribution", "")),
        built=_day(texts.get("buildtime", "")),
        description=_clean(texts.get("summary", "")),
        signed=signed,
    )


def _pacman(stream: IO[bytes], path: Path) -> PackageFacts:
    # Both texts stand in front of the files; makepkg puts nothing but dot files there.
    wanted = frozenset({".PKGINFO", ".BUILDINFO"})
    texts = _Texts(wanted, lambda name: not name.startswith("."))
    with suppress(_Done):
        pacman.scan(stream, str(path), texts)
    info = _pairs(texts.found.get(".PKGINFO", ""))
    build = _pairs(texts.found.get(".BUILDINFO", ""))
    if "pkgname" not in info:
        raise Damaged("it has no .PKGINFO that names a package")
    first = {key: values[0] for key, values in {**build, **info}.items()}
    installed = [item for item in build.get("installed", ()) if _TOOLCHAIN.fullmatch(item)]
    tool = f"{first.get('buildtool', '')} {first.get('buildtoolver', '')}".strip()
    return PackageFacts(
        family="pacman",
        name=_clean(first["pkgname"]),
        version=_clean(first.get("pkgver", "")),
        arch=_clean(first.get("arch", "") or first.get("pkgarch", "")),
        base=_clean(first.get("pkgbase", "")),
        vendor=_clean(first.get("packager", "")),
        built=_day(first.get("builddate", "")),
        description=_clean(first.get("pkgdesc", "")),
        build_tool=_clean(tool),
        options=tuple(_clean(item) for item in build.get("options", ())[:64]),
        toolchain=tuple(_clean(item) for item in installed[:16]),
    )


def _pairs(text: str) -> dict[str, list[str]]:
    """`key = value` lines; a key may come often."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def _clean(text: str) -> str:
    return "".join(c for c in text.strip() if c.isprintable())[:_MAX_VALUE]


def _day(seconds: str) -> str:
    if not seconds.isdigit() or not 0 < int(seconds) < 1 << 36:
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
