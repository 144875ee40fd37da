"""What a program needs from an archive: the closure of its library dependencies.

Pure: the text of one suite's Packages file in, packages out. Only dependencies in the archive's
section `libs` are followed: a program unpacked beside the system, and never configured, needs
its libraries and not debconf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DEPENDENCY = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.\-]*)(?::[a-z0-9]+)?"
    r"(?:\s*\((?P<relation><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\))?(?:\s*\[[^\]]*\])?"
)
_STARTS = re.compile(r"^Package: (\S+)$", re.MULTILINE)
_NEEDED_FIELDS = frozenset({"Version", "Filename", "SHA256", "Size"})


@dataclass(frozen=True, slots=True)
class Package:
    """One binary package as a signed index describes it; `path` is below the mirror's URI."""

    name: str
    version: str
    suite: str
    path: str
    sha256: str
    size: int


class UnresolvedError(Exception):
    """The suite lacks a package, or has it in a version that does not do."""


class SuiteIndex:
    """One suite's Packages file, its entries parsed when asked for."""

    def __init__(self, suite: str, text: str) -> None:
        self.suite = suite
        self._text = text
        self._starts: dict[str, list[int]] = {}
        for match in _STARTS.finditer(text):
            self._starts.setdefault(match[1], []).append(match.start())

    def library_closure(self, roots: Sequence[str]) -> tuple[Package, ...]:
        """`roots` and every library they need, by name.

        Raises:
            UnresolvedError: says which package is missing or too old.
        """
        chosen: dict[str, Package] = {}
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name in chosen:
                continue
            fields = self._newest(name)
            if fields is None:
                raise UnresolvedError(f"{self.suite} has no package {name}")
            chosen[name] = self._package(name, fields)
            waiting += self._libraries(name, fields)
        return tuple(chosen[name] for name in sorted(chosen))

    def _libraries(self, name: str, fields: dict[str, str]) -> Iterator[str]:
        for field in ("Pre-Depends", "Depends"):
            for group in filter(None, fields.get(field, "").split(",")):
                choices = [_DEPENDENCY.fullmatch(text.strip()) for text in group.split("|")]
                known = [(c, f) for c in choices if c and (f := self._newest(c["name"]))]
                # Packages with no entry of their own are virtual: no library is.
                wanted = [(c, f) for c, f in known if f.get("Section") == "libs"]
                if not wanted:
                    continue
                fitting = [c for c, f in wanted if _satisfies(f["Version"], c)]
                if not fitting:
                    raise UnresolvedError(f"{name} in {self.suite} needs {group.strip()}")
                yield fitting[0]["name"]

    def _newest(self, name: str) -> dict[str, str] | None:
        from debian.debian_support import Version  # noqa: PLC0415  (slow to import)

        entries = [self._fields(start) for start in self._starts.get(name, ())]
        whole = [entry for entry in entries if entry.keys() >= _NEEDED_FIELDS]
        return max(whole, key=lambda entry: Version(entry["Version"]), default=None)

    def _fields(self, start: int) -> dict[str, str]:
        end = self._text.find("\n\n", start)
        block = self._text[start : end if end >= 0 else None]
        return dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )

    def _package(self, name: str, fields: dict[str, str]) -> Package:
        return Package(
            name=name,
            version=fields["Version"],
            suite=self.suite,
            path=fields["Filename"],
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
        )


def _satisfies(version: str, dependency: re.Match[str]) -> bool:
    from debian.debian_support import Version  # noqa: PLC0415  (slow to import)

    if dependency["relation"] is None:
        return True
    have, wanted = Version(version), Version(dependency["version"])
    return {
        "<<": have < wanted,
        "<=": have <= wanted,
        "=": have == wanted,
        ">=": have >= wanted,
        ">>": have > wanted,
    }[dependency["relation"]]
