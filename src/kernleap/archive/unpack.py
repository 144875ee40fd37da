"""Unpacking Debian packages into a directory of ours, without trust in what they hold.

Nothing is run, nothing keeps an owner or special mode bits, and nothing lands outside: names
and links are checked before anything is written, and no file is written through a link.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from kernleap.archive import deb
from kernleap.archive.limits import MAX_IMAGE_BYTES, MAX_MEMBERS, Damaged
from kernleap.archive.member import Kind, Member, Unsafe, inside, link_target
from kernleap.model.errors import InfrastructureError, TamperedError

MAX_TREE_BYTES = 1 << 30
_ELF = b"\x7fELF"


def unpack_debs(
    packages: Sequence[Path], root: Path, wanted: Callable[[str], bool]
) -> dict[str, str]:
    """Unpack every file and link whose path `wanted` accepts, below `root`.

    Files that are ELF become mode 0755, others 0644; links become relative.

    Returns:
        What was written: path -> "" for files, the link's relative target for links.

    Raises:
        TamperedError: a package is damaged or hostile; nothing has been written outside `root`.
        InfrastructureError: the disk refuses.
    """
    tree = _Tree(root, wanted)
    for package in packages:
        tree.package = package.name
        try:
            with package.open("rb") as stream:
                deb.scan(stream, package.name, tree)
        except (Damaged, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise TamperedError(
                f"not a whole deb package: {error}",
                where=package.name,
                cause="the download was cut short, or the file is of another kind",
                next_step="get the package again",
            ) from error
        except OSError as error:
            raise InfrastructureError(
                f"cannot unpack a package: {error.strerror or error}", where=str(root)
            ) from error
    return tree.written


class _Tree:
    """The directory in the making, over all packages."""

    def __init__(self, root: Path, wanted: Callable[[str], bool]) -> None:
        self.written: dict[str, str] = {}
        self.package = ""
        self._root = root
        self._wanted = wanted
        self._count = 0
        self._bytes = 0

    def visit(self, member: Member, read: Callable[[], bytes]) -> None:
        """Check one member, and write it if it is wanted. Raises TamperedError."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            self._refuse(f"it has more than {MAX_MEMBERS:,} members", "")
        if member.kind is Kind.DEVICE:
            self._refuse("it holds a device node", member.name)
        try:
            path = inside(member.name)
            link = member.kind in {Kind.LINK, Kind.HARD_LINK}
            target = link_target(path, member) if link else ""
        except Unsafe as error:
            self._refuse(str(error), member.name)
        if member.kind is Kind.DIRECTORY or not self._wanted(path):
            return
        if path in self.written:
            self._refuse("a file comes twice", member.name)
        place = self._root / path
        self._make_parents(path, member.name)
        if link:
            up = "../" * path.count("/")
            self.written[path] = up + target
            place.symlink_to(up + target)
            return
        self._bytes += member.size
        if not 0 <= member.size <= MAX_IMAGE_BYTES or self._bytes > MAX_TREE_BYTES:
            self._refuse(f"a file of {member.size:,} bytes is beyond the limit", member.name)
        data = read()
        if len(data) != member.size:
            self._refuse("a file is shorter than it says", member.name)
        place.write_bytes(data)
        place.chmod(0o755 if data.startswith(_ELF) else 0o644)
        self.written[path] = ""

    def _make_parents(self, path: str, name: str) -> None:
        """Every directory above `path`; a link or a file in one's place is an attack."""
        directory = self._root
        for part in path.split("/")[:-1]:
            directory /= part
            if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
                self._refuse("a file would be written through a link", name)
            directory.mkdir(exist_ok=True)

    def _refuse(self, why: str, member: str) -> NoReturn:
        raise TamperedError(
            f"the package is refused: {why}",
            where=f"{self.package}: {member!r:.200}" if member else self.package,
            cause="no distribution builds such a package",
            next_step="get the package from a source you trust",
        )
