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


def risk_dir() -> Path:
    """Directory of imported risk data: brought in by hand, so no cache.

    `$KERNLEAP_RISK_DATA`, else `$XDG_DATA_HOME/kernleap/risk`, else `~/.local/share/kernleap/risk`.
    """
    if explicit := os.environ.get("KERNLEAP_RISK_DATA"):
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser().absolute() / "kernleap" / "risk"


def runs_dir() -> Path:
    """Directory of runs: measurements, which are never rewritten.

    `$KERNLEAP_RUNS`, else `$XDG_DATA_HOME/kernleap/runs`, else `~/.local/share/kernleap/runs`.
    """
    if explicit := os.environ.get("KERNLEAP_RUNS"):
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser().absolute() / "kernleap" / "runs"


def state_dir() -> Path:
    """Directory of what is true of this machine until it boots again: locks, changed knobs.

    `$KERNLEAP_STATE`, else `/run/kernleap` for root, else `$XDG_RUNTIME_DIR/kernleap`, else the
    directory of runs. Not a user's choice of runs: two of them set the same kernel's knobs.
    """
    if explicit := os.environ.get("KERNLEAP_STATE"):
        return Path(explicit).expanduser().absolute()
    if os.geteuid() == 0 and Path("/run").is_dir():
        return Path("/run/kernleap")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "kernleap"
    return runs_dir()
