"""What this machine runs besides its kernel: modules from outside the tree, taint, live patches."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from kernleap.model.kernel_facts import DkmsEntry, HostFacts, HostModule

_TAINT = re.compile(r"^(\S+) .*\(([A-Z]+)[+-]?\)\s*$")
_DKMS = re.compile(
    r"^(?P<module>[^/,\s]+)[/,]\s*(?P<version>[^,:\s]+)"
    r"(?:,\s*(?P<kernel>[^,:\s]+)(?:,\s*[^,:\s]+)?)?:\s*(?P<status>.+)$"
)
_DKMS_TIMEOUT_S = 20.0
_MODINFO_BYTES = 256


def inventory(
    root: Path = Path("/"),
    *,
    name: str | None = None,
    release: str | None = None,
    dkms: str | None = None,
) -> HostFacts:
    """Read a machine. Whatever cannot be read is left unknown, with a note.

    Args:
        root: the file system to look in.
        name: of the host; by default of this machine.
        release: what `uname -r` says; by default here.
        dkms: what `dkms status` printed; by default dkms is asked.
    """
    notes: list[str] = []
    modules = _modules(root, notes)
    return HostFacts(
        name=name or platform.node(),
        release=release or platform.release(),
        tainted=_number(root / "proc/sys/kernel/tainted", notes),
        modules=modules,
        dkms=_parse_dkms(dkms) if dkms is not None else _ask_dkms(root, notes),
        livepatches=_livepatches(root),
        lockdown=_lockdown(root),
        notes=tuple(notes),
    )


def _modules(root: Path, notes: list[str]) -> tuple[HostModule, ...]:
    """Loaded modules with a taint of their own: by /proc/modules, else by /sys/module."""
    taints: dict[str, str] = {}
    try:
        text = (root / "proc/modules").read_text()
    except OSError as error:
        notes.append(f"/proc/modules cannot be read ({error.strerror}): modules are not known")
        text = ""
    for line in text.splitlines():
        if match := _TAINT.match(line):
            taints[match[1]] = match[2]
    for path in sorted((root / "sys/module").glob("*/taint")):
        taint = _text(path)
        if taint:
            taints.setdefault(path.parent.name, taint)
    return tuple(
        HostModule(module, taint, _text(root / "sys/module" / module / "version"))
        for module, taint in sorted(taints.items())
    )


def _ask_dkms(root: Path, notes: list[str]) -> tuple[DkmsEntry, ...] | None:
    if root != Path("/") or shutil.which("dkms") is None:
        if root == Path("/") and not Path("/var/lib/dkms").is_dir():
            return ()  # no dkms, and nothing was ever added to it
        notes.append("dkms cannot be asked: what it has built is not known")
        return None
    try:
        done = subprocess.run(
            ["dkms", "status"],
            capture_output=True,
            text=True,
            timeout=_DKMS_TIMEOUT_S,
            check=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError) as error:
        notes.append(f"dkms status failed ({error}): what it has built is not known")
        return None
    return _parse_dkms(done.stdout)


def _parse_dkms(text: str) -> tuple[DkmsEntry, ...]:
    """Both forms: `nvidia/550.54, 6.1.0-18-amd64, x86_64: installed` and the older with commas."""
    found = []
    for line in text.splitlines():
        if match := _DKMS.match(line.strip()):
            found.append(
                DkmsEntry(
                    match["module"],
                    match["version"],
                    match["kernel"] or "",
                    match["status"].strip(),
                )
            )
    return tuple(found)


def _livepatches(root: Path) -> tuple[str, ...]:
    place = root / "sys/kernel/livepatch"
    try:
        return tuple(sorted(path.name for path in place.iterdir() if path.is_dir()))
    except OSError:
        return ()


def _lockdown(root: Path) -> str:
    """The word in brackets: `none [integrity] confidentiality`."""
    match = re.search(r"\[(\w+)\]", _text(root / "sys/kernel/security/lockdown"))
    return match[1] if match else ""


def _number(path: Path, notes: list[str]) -> int | None:
    text = _text(path)
    if not text.isdigit():
        notes.append(f"{path} cannot be read: taint is not known")
        return None
    return int(text)


def _text(path: Path) -> str:
    try:
        with path.open("r", encoding="utf-8", errors="replace") as stream:
            return stream.read(_MODINFO_BYTES).strip()
    except OSError:
        return ""
