"""Reading kernel packages: the way from paths to one kernel."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kernleap.archive import deb
from kernleap.archive.limits import Damaged
from kernleap.archive.member import Visitor
from kernleap.kernel.package import pacman, rpm
from kernleap.kernel.package.members import Found, Scan, only_image, release_of_config
from kernleap.model.errors import TamperedError, UsageError

_READERS: dict[str, Callable[[IO[bytes], str, Visitor], None]] = {
    "deb": deb.scan,
    "rpm": rpm.scan,
    "pacman": pacman.scan,
}


@dataclass(frozen=True, slots=True)
class PackageKernel:
    """A kernel out of one or more packages. `release` is what the path says."""

    release: str
    image: bytes
    path: str
    config: bytes | None


def read_packages(paths: Sequence[Path], family: str) -> PackageKernel:
    """Read the kernel and, if it is there, its configuration out of packages.

    Args:
        paths: packages of one family that belong together (an image and its base, say).
        family: `deb`, `rpm` or `pacman`.

    Raises:
        UsageError: a file is missing or unreadable; no kernel, or several.
        TamperedError: a package is damaged, cut short or hostile.
    """
    found = Found()
    for path in paths:
        try:
            with path.open("rb") as stream:
                _READERS[family](stream, str(path), Scan(str(path), found))
        except Damaged as error:
            raise _damaged(path, family, str(error)) from error
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise _damaged(path, family, f"damaged ({error})") from error
        except OSError as error:
            raise UsageError(
                f"cannot read the package: {error.strerror or error}", where=str(path)
            ) from error
    where = ", ".join(str(path) for path in paths)
    path_inside, release, image = only_image(found, where)
    configs = [data for path, data in found.configs.items() if release_of_config(path) == release]
    return PackageKernel(release, image, path_inside, configs[0] if configs else None)


def _damaged(path: Path, family: str, how: str) -> TamperedError:
    return TamperedError(
        f"not a whole {family} package: {how}",
        where=str(path),
        cause="the download was cut short, or the file is of another kind",
        next_step="get the package again",
    )
