"""The catalogue of kernels in Debian's archive: from Packages files to candidates.

Pure: text and records in, candidates out; nothing is downloaded here. An index is made once
per refresh and kept as JSON, newest kernel first, so that resolving needs no apt.

Debian packages a kernel in one of two shapes: older ones carry everything in
`linux-image-RELEASE`; newer ones keep the boot image in `linux-binary-RELEASE` and the
configuration in `linux-base-RELEASE`, and their `linux-image` is an empty shell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kernleap.kernel.cache import candidate_from
from kernleap.kernel.source import Artifact, Candidate
from kernleap.model.kernel import Arch
from kernleap.model.version import is_series, parse_version, upstream_of, version_of

DEFAULT_FLAVOUR = "cloud"
_SCHEMA = 1
_PACKAGE = re.compile(r"linux-(image|binary|base)-(\d\S*)")


@dataclass(frozen=True, slots=True)
class Index:
    """The kernels of Debian's archive for one architecture, newest first.

    `made` is seconds since the epoch; `remarks` say what the mirror lacks.
    """

    arch: str
    made: float
    kernels: tuple[Candidate, ...]
    remarks: tuple[str, ...] = field(default=())


def flavour_of(release: str, arch: Arch) -> str | None:
    """`cloud`, `rt`, `generic`, `16k`...; None when `release` is no stock kernel of `arch`."""
    match = re.fullmatch(rf"\d.*?(?:-(cloud|rt))?-{arch.value}(?:-([a-z0-9]+))?", release)
    if not match or match[2] in {"unsigned", "dbg"}:
        return None
    return match[1] or match[2] or "generic"


def build_index(
    packages_files: Iterable[tuple[str, str, str]],
    arch: Arch,
    made: float,
    remarks: tuple[str, ...] = (),
) -> Index:
    """Make an index from (suite, base URI, text of a Packages file).

    A package found in several suites keeps the first one's name, so give the suites in order
    of preference.
    """
    from debian.debian_support import Version  # noqa: PLC0415  (slow to import, seldom needed)

    parts: dict[tuple[str, str], dict[str, Artifact]] = {}
    for suite, base_uri, text in packages_files:
        for shape, release, artifact in _packages(suite, base_uri, text, arch):
            parts.setdefault((release, artifact.version), {}).setdefault(shape, artifact)
    kernels = [
        Candidate(release, found.get("binary") or found["image"], found.get("base"))
        for (release, _), found in parts.items()
        if "binary" in found or "image" in found
    ]
    kernels.sort(key=lambda kernel: kernel.release)
    kernels.sort(key=lambda kernel: Version(kernel.image.version), reverse=True)
    return Index(arch.value, made, tuple(kernels), remarks)


def _packages(
    suite: str, base_uri: str, text: str, arch: Arch
) -> Iterator[tuple[str, str, Artifact]]:
    for block in text.split("\n\n"):
        # Cheap test first: a suite has 60,000 packages, of which a hundred are kernels.
        if not block.lstrip("\n").startswith("Package: linux-"):
            continue
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )
        match = _PACKAGE.fullmatch(fields["Package"])
        if not match or flavour_of(match[2], arch) is None:
            continue
        if not {"Version", "Filename", "SHA256", "Size"} <= fields.keys():
            continue
        artifact = Artifact(
            location=base_uri.rstrip("/") + "/" + fields["Filename"],
            package=fields["Package"],
            version=fields["Version"],
            suite=suite,
            sha256=fields["SHA256"],
            size=int(fields["Size"]),
        )
        yield match[1], match[2], artifact


# Their compilers change from upload to upload. Kernels of one series built for a Debian release
# and for testing differ by several per cent in the same code path (docs/decisions/).
_UNRELEASED = frozenset({"forky", "sid", "experimental"})


def select(
    kernels: Iterable[Candidate], name: str, arch: Arch, flavour: str = DEFAULT_FLAVOUR
) -> tuple[tuple[Candidate, ...], bool]:
    """What `name` means among `kernels` (newest first), best first.

    `name` is a full release, else a version, else a series; the latter two look at `flavour`
    only. A series means final releases before release candidates. Builds for a released
    Debian come before those for testing and unstable, newest first among each: kernels of
    several series are then built by one compiler, as far as the archive allows.

    Returns:
        The candidates, and whether `name` is a full release (then nothing may stand in).
    """
    kernels = tuple(kernels)
    by_release = tuple(kernel for kernel in kernels if kernel.release == name)
    if by_release or flavour_of(name, arch) is not None:
        return by_release, True
    wanted = parse_version(name)
    same_flavour = [k for k in kernels if flavour_of(k.release, arch) == flavour]
    if is_series(name):
        in_series = [k for k in same_flavour if series_of(k) == name]
        finals = [k for k in in_series if not _is_candidate(k)]
        return _released_first(finals or in_series), False
    matching = [k for k in same_flavour if version_of(upstream_of(k.image.version)) == wanted]
    return _released_first(matching), False


def _released_first(kernels: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(kernels, key=lambda k: k.image.suite in _UNRELEASED))


def series_of(kernel: Candidate) -> str:
    """`7.2` of a Debian kernel, by the version of its package (its release may say 6.1.0)."""
    version = version_of(upstream_of(kernel.image.version))
    return version.series if version else ""


def _is_candidate(kernel: Candidate) -> bool:
    version = version_of(upstream_of(kernel.image.version))
    return version is not None and version.rc is not None


def dump(index: Index) -> bytes:
    """The index as JSON."""
    return json.dumps({"schema": _SCHEMA, **asdict(index)}, sort_keys=True).encode()


def load(path: Path) -> Index | None:
    """The index in `path`; None if it is absent or not one of this version's."""
    try:
        raw = json.loads(path.read_bytes())
        if raw["schema"] != _SCHEMA:
            return None
        kernels = tuple(candidate_from(kernel) for kernel in raw["kernels"])
        return Index(raw["arch"], float(raw["made"]), kernels, tuple(raw["remarks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
