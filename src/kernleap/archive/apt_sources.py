"""Which Debian mirror this machine already trusts: its own apt sources, read.

Both forms are understood (sources.list(5)): deb822 stanzas and one-line entries. The options
that say how a mirror is trusted and reached are kept; its suites are replaced by ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import InfrastructureError

MIRROR_VARIABLE = "KERNLEAP_DEBIAN_MIRROR"
KEYRING_VARIABLE = "KERNLEAP_DEBIAN_KEYRING"

SUITES = (
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
    "forky",
    "sid",
    "experimental",
)

_DEBIAN_SUITE = re.compile(
    r"(?:stable|oldstable|oldoldstable|testing|unstable|sid|experimental|rc-buggy"
    r"|bullseye|bookworm|trixie|forky|duke)(?:-updates|-backports|-proposed-updates)?"
)
_KEPT_OPTIONS = (
    "Signed-By",
    "Trusted",
    "Check-Valid-Until",
    "Check-Date",
    "Date-Max-Future",
    "Allow-Insecure",
    "Allow-Weak",
    "Allow-Downgrade-To-Insecure",
    "By-Hash",
)
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror that serves Debian's `main`, with the options it is trusted under."""

    uri: str
    options: tuple[tuple[str, str], ...] = ()

    def stanza(self, suite: str) -> str:
        """A deb822 source for one suite of this mirror, packages only."""
        lines = ["Types: deb", f"URIs: {self.uri}", f"Suites: {suite}"]
        lines += ["Components: main", "Targets: Packages"]
        lines += [f"{key}: {value}" for key, value in self.options]
        return "\n".join(lines) + "\n"


def machine_mirrors(files: Iterable[Path]) -> tuple[Mirror, ...]:
    """The Debian mirrors in apt's source files, likeliest first, without repeats.

    An entry counts when it serves component `main` of a suite that Debian has. Whether it is
    Debian's own archive shows only in its signed Release file, after an update.
    """
    found: dict[Mirror, None] = {}
    for path in files:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        entries = _deb822(text) if path.suffix == ".sources" else _one_line(text)
        for uris, suites, components, options in entries:
            serves_main = "main" in components
            if serves_main and any(_DEBIAN_SUITE.fullmatch(s) for s in suites):
                found.update((Mirror(plain, options), None) for u in uris for plain in _expand(u))
    return tuple(sorted(found, key=lambda m: not _path_names_debian(m)))


def mirror_from_environment() -> Mirror | None:
    """The mirror that the user names in the environment, or None.

    Raises:
        InfrastructureError: the keyring that must come with it is missing.
    """
    uri = os.environ.get(MIRROR_VARIABLE)
    if not uri:
        return None
    default = "/usr/share/keyrings/debian-archive-keyring.gpg"
    keyring = Path(os.environ.get(KEYRING_VARIABLE) or default)
    if not keyring.is_file() or re.search(r"\s", uri + str(keyring)):
        raise InfrastructureError(
            f"{MIRROR_VARIABLE} is set, but there is no keyring to verify it with",
            where=str(keyring),
            next_step=f"install debian-archive-keyring, or set {KEYRING_VARIABLE} to a keyring",
        )
    return Mirror(uri, (("Signed-By", str(keyring.absolute())),))


def no_mirror_error() -> InfrastructureError:
    """The error for a machine whose apt knows no Debian archive."""
    return InfrastructureError(
        "`debian:` kernels need a Debian mirror, and this machine's apt sources name none",
        where="apt's source files (Debian entries with component main)",
        cause="the machine runs another distribution",
        next_step=(
            f"set {MIRROR_VARIABLE} to the URI of a mirror you trust (and {KEYRING_VARIABLE} to "
            "Debian's archive keyring), or give a package: deb:PATH, rpm:PATH, pacman:PATH"
        ),
    )


def _expand(uri: str) -> list[str]:
    """A list of mirrors in a local file (apt-transport-mirror(1)) becomes its mirrors."""
    if not uri.startswith("mirror+file:"):
        return [uri]
    path = Path("/" + uri.removeprefix("mirror+file:").lstrip("/"))
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def _path_names_debian(mirror: Mirror) -> bool:
    return mirror.uri.rstrip("/").endswith("/debian")


_Entry = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]


def _deb822(text: str) -> Iterable[_Entry]:
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"} and key:
                fields[key] += f"\n{line}"
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in {"no", "false", "0", "off"}:
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        options = tuple((k, fields[k.lower()]) for k in _KEPT_OPTIONS if k.lower() in fields)
        yield (
            tuple(fields.get("uris", "").split()),
            tuple(fields.get("suites", "").split()),
            tuple(fields.get("components", "").split()),
            options,
        )


def _one_line(text: str) -> Iterable[_Entry]:
    by_lower = {option.lower(): option for option in _KEPT_OPTIONS}
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#", 1)[0].strip())
        if not match:
            continue
        words = match["rest"].split()
        if len(words) < 3:
            continue
        options = []
        for option in (match["options"] or "").split():
            key, _, value = option.partition("=")
            if key.lower() in by_lower:
                # Several values are joined by commas here, by blanks in deb822.
                options.append((by_lower[key.lower()], value.replace(",", " ")))
        yield (words[0],), (words[1],), tuple(words[2:]), tuple(options)
