"""Which members of a package are a kernel, and which make the package unacceptable."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from kernleap.archive.limits import MAX_CONFIG_BYTES, MAX_IMAGE_BYTES, MAX_MEMBERS
from kernleap.archive.member import Kind, Member, Unsafe, inside, link_target
from kernleap.model.errors import TamperedError, UsageError

_RELEASE = r"(?P<release>\d[^/]*)"
_IMAGE = re.compile(
    rf"(?:usr/)?boot/(?:vmlinuz|Image)-{_RELEASE}|(?:usr/)?lib/modules/{_RELEASE}/vmlinuz".replace(
        "(?P<release>", "("
    )
)
_CONFIG = re.compile(
    rf"(?:usr/)?boot/config-{_RELEASE}|(?:usr/)?lib/modules/{_RELEASE}/(?:config|build/\.config)".replace(
        "(?P<release>", "("
    )
)
_KERNEL_ASIDE = re.compile(r"\.(?:hmac|old|sig|sha512hmac)$")


@dataclass(slots=True)
class Found:
    """What has been found so far, over one or several packages."""

    images: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Path inside its package -> (package, bytes)."""
    configs: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


class Scan:
    """Looks at each member of one package and reads the few that are wanted."""

    def __init__(self, package: str, found: Found) -> None:
        self._package = package
        self._found = found
        self._seen: set[str] = set()
        self._count = 0

    def visit(self, member: Member, read: Callable[[], bytes]) -> None:
        """Judge one member; call `read` for its bytes only if it is wanted.

        Raises:
            TamperedError: a name or link that leaves the package, a device node, a name that
                comes twice, a size or a count beyond reason.
        """
        self._count += 1
        if self._count > MAX_MEMBERS:
            self._refuse(f"it has more than {MAX_MEMBERS:,} members", "")
        path = self._normal(member.name)
        if member.kind is Kind.DEVICE:
            self._refuse("it holds a device node", member.name)
        image = release_of_image(path) is not None
        config = _CONFIG.fullmatch(path) is not None
        if not (image or config) or member.kind is Kind.DIRECTORY:
            return
        if path in self._seen:
            self._refuse("it holds the same file twice", member.name)
        self._seen.add(path)
        if member.kind in {Kind.LINK, Kind.HARD_LINK}:
            self._link(path, member, image)
            return
        limit = MAX_IMAGE_BYTES if image else MAX_CONFIG_BYTES
        if not 0 <= member.size <= limit:
            self._refuse(f"a file of {member.size:,} bytes is beyond the limit", member.name)
        data = read()
        if len(data) != member.size:
            self._refuse("a file is shorter than it says", member.name)
        if image:
            self._found.images[path] = (self._package, data)
        else:
            self._found.configs[path] = data

    def _link(self, path: str, member: Member, image: bool) -> None:
        try:
            target = link_target(path, member)
        except Unsafe as error:
            self._refuse(str(error), f"{member.name} -> {member.target}")
        if image:
            self._found.links[path] = target

    def _normal(self, name: str) -> str:
        try:
            return inside(name)
        except Unsafe as error:
            self._refuse(str(error), name)

    def _refuse(self, why: str, member: str) -> NoReturn:
        raise TamperedError(
            f"the package is refused: {why}",
            where=f"{self._package}: {member!r:.200}" if member else self._package,
            cause="no distribution builds such a kernel package",
            next_step="get the package from a source you trust",
        )


def release_of_image(path: str) -> str | None:
    """The release in the path of a boot image, None if the path is no boot image's."""
    match = _IMAGE.fullmatch(path)
    if not match or _KERNEL_ASIDE.search(path):
        return None
    return next(group for group in match.groups() if group)


def release_of_config(path: str) -> str | None:
    """The release in the path of a kernel configuration, None if it is no such path."""
    match = _CONFIG.fullmatch(path)
    return next(group for group in match.groups() if group) if match else None


def only_image(found: Found, where: str) -> tuple[str, str, bytes]:
    """The one boot image that was found: (path, release by that path, bytes).

    The same image under two paths (boot/ and lib/modules/) is one.

    Raises:
        UsageError: none, or several kernels; lists them.
    """
    by_release: dict[str, tuple[str, bytes]] = {}
    for path, (_, data) in sorted(found.images.items()):
        release = release_of_image(path) or ""
        if release in by_release and by_release[release][1] != data:
            raise UsageError(
                "two different images of one kernel in a package",
                where=f"{where}: {by_release[release][0]}, {path}",
                next_step="extract the one you mean and give vmlinuz:PATH",
            )
        by_release.setdefault(release, (path, data))
    if len(by_release) > 1:
        listed = ", ".join(path for path, _ in by_release.values())
        raise UsageError(
            f"{len(by_release)} kernels where one is wanted",
            where=f"{where}: {listed}",
            next_step="extract the one you mean and give vmlinuz:PATH",
        )
    if not by_release:
        raise _no_image(found, where)
    ((release, (path, data)),) = by_release.items()
    return path, release, data


def _no_image(found: Found, where: str) -> UsageError:
    if found.links:
        path, target = next(iter(found.links.items()))
        return UsageError(
            "the package's kernel is only a link",
            where=f"{where}: {path} -> {target}",
            cause="the file it points to is in another package",
            next_step="give the package that holds the file",
        )
    return UsageError(
        "there is no kernel image in this package",
        where=where,
        cause="it may be a meta, modules or headers package",
        next_step="Debian: linux-binary-RELEASE or linux-image-RELEASE; Fedora: kernel-core; "
        "Arch: linux, CachyOS: linux-cachyos",
    )
