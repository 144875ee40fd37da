"""From what a user names to files of results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kernleap.imported import formats  # noqa: F401 - registers them
from kernleap.imported.results import Result, read_result
from kernleap.model.errors import UsageError

_AIPERF = "profile_export_aiperf.json"


def read_results(names: Iterable[Path]) -> tuple[Result, ...]:
    """The results in these files and directories.

    A directory stands for the results in it: that of aiperf if it is one of its artifact
    directories, else every `*.json`, by name.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    return tuple(read_result(path) for name in names for path in _files(name))


def _files(name: Path) -> list[Path]:
    if not name.is_dir():
        return [name]
    if (name / _AIPERF).is_file():
        return [name / _AIPERF]
    found = sorted(path for path in name.glob("*.json") if path.is_file())
    if not found:
        raise UsageError("there are no results in this directory", where=str(name),
                         cause="no file ends in .json")  # fmt: skip
    return found
