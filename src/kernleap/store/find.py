"""From what a user types to the directory of a run."""

from __future__ import annotations

from pathlib import Path

from kernleap import paths
from kernleap.model.errors import UsageError


def run_ids() -> tuple[str, ...]:
    """Ids of all runs, oldest first (ids begin with their time)."""
    base = paths.runs_dir()
    if not base.is_dir():
        return ()
    names = (p.name for p in base.iterdir() if (p / "plan.json").is_file())
    return tuple(sorted(name for name in names if not name.startswith(".")))


def find_run(run: str) -> Path:
    """Directory of the run of that id, unique prefix of an id, path, or `latest`.

    Raises:
        UsageError: there is none, or several match.
    """
    base = paths.runs_dir()
    known = run_ids()
    if run == "latest":
        if not known:
            raise UsageError(
                "There are no runs yet",
                where=str(base),
                next_step="kernleap compare debian:7.0 debian:7.2",
            )
        return base / known[-1]
    if run in known:
        return base / run
    if (Path(run) / "plan.json").is_file():
        return Path(run).absolute()
    matches = [name for name in known if run and name.startswith(run)]
    if len(matches) == 1:
        return base / matches[0]
    raise UsageError(
        f"Several runs begin with {run!r}" if matches else f"No run {run!r}",
        where=str(base),
        cause=", ".join(matches[:5]) or None,
        next_step="kernleap runs list",
    )
