"""What counts allow to say about money: a ceiling, from `kernleap bound` of the same workload.

By Amdahl's law no kernel shortens a token by more than the share of its time that is the
kernel's. That is a statement about every kernel, whatever was counted of this one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import UsageError

SCHEMAS = (1, 2)
"""Of the documents of `kernleap bound --json`; what is read here is the same in both."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that any kernel could take out of a token's time on the user's workload.

    `most` is the upper end of the interval of the share; `what` says of which workload.
    """

    most: float
    what: str
    source: str

    @property
    def says_something(self) -> bool:
        """Whether it excludes anything."""
        return self.most < 1


def load(path: Path) -> Ceiling:
    """The bound in a file that `kernleap bound --json` printed.

    Raises:
        UsageError: unreadable, no such document, or a bound that was too noisy to say.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _wrong(path, str(error)) from error
    try:
        if document["schema"] not in SCHEMAS:
            known = " and ".join(map(str, SCHEMAS))
            raise _wrong(path, f"schema {document['schema']!r}, and this version reads {known}")
        bound, engine, load_ = document["bound"], document["engine"], document["load"]
        most, settled = float(bound["most"]), bool(bound["settled"])
        rate = load_.get("rate")
        how = f"{float(rate):g} requests/s" if rate else f"{int(load_['streams'])} streams"
        what = f"{engine['engine']}, {how}"
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(path, f"no such document: {type(error).__name__} {error}") from error
    if not 0 <= most <= 1:
        raise _wrong(path, f"bound.most = {most}, and a share is from 0 to 1")
    if not settled:
        raise UsageError(
            "this bound was too noisy to say anything",
            where=str(path),
            next_step="measure again on a quieter machine, with more or longer windows",
        )
    return Ceiling(most, what, str(path))


def _wrong(path: Path, cause: str) -> UsageError:
    return UsageError(
        "cannot read the bound",
        where=str(path),
        cause=cause,
        next_step="kernleap bound --json > bound.json, then give that file",
    )
