"""Where kernleap keeps things. Read from the environment at call time, never cached."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Directory of what can be fetched or built again.

    `$KERNLEAP_CACHE`, else `$XDG_CACHE_HOME/kernleap`, else `~/.cache/kernleap`.
    """
    if explicit := os.environ.get("KERNLEAP_CACHE"):
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "kernleap"


def runs_dir() -> Path:
    """Directory of runs: measurements, which are never rewritten.

    `$KERNLEAP_RUNS`, else `$XDG_DATA_HOME/kernleap/runs`, else `~/.local/share/kernleap/runs`.
    """
    if explicit := os.environ.get("KERNLEAP_RUNS"):
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser().absolute() / "kernleap" / "runs"
