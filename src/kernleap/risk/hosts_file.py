"""The hosts file: what hosts use, as TOML or JSON, and the user's own statements about modules."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.model.kernel_facts import DkmsEntry, HostFacts, HostModule
from kernleap.risk.dated import bad
from kernleap.risk.tables import Support, read_support

_HOST_KEYS = {
    "name", "release", "tainted", "modules", "dkms", "livepatches", "lockdown", "notes",
}  # fmt: skip


def parse_hosts(text: str, where: str) -> tuple[tuple[HostFacts, ...], tuple[Support, ...]]:
    """Read hosts: TOML with `[[host]]`, or JSON (as `kernleap risk inventory --json` prints it).

    Raises:
        UsageError: it is neither, or a key is not what it should be; names it.
    """
    raw = _parse(text, where)
    if isinstance(raw, list):
        raw = {"host": raw}
    elif isinstance(raw, Mapping) and "host" not in raw and "name" in raw:
        raw = {"host": [raw]}
    if not isinstance(raw, Mapping) or (unknown := set(raw) - {"host", "support"}):
        known = "host and support"
        found = ", ".join(sorted(unknown)) if isinstance(raw, Mapping) else "no table"
        raise bad(where, found, f"known at the top: {known}")
    hosts = raw.get("host", [])
    if not isinstance(hosts, list) or not hosts:
        raise bad(where, "host", "write [[host]] for each host")
    return tuple(_host(entry, f"{where}, host {n}") for n, entry in enumerate(hosts, 1)), (
        read_support(raw, where)
    )


def _parse(text: str, where: str) -> Any:
    try:
        if text.lstrip().startswith(("{", "[")) and not text.lstrip().startswith("[["):
            return json.loads(text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "the hosts file is neither valid TOML nor valid JSON",
            where=where,
            cause=str(error),
            next_step="on a host: kernleap risk inventory --json > host.json",
        ) from error


def _host(entry: object, where: str) -> HostFacts:
    if not isinstance(entry, Mapping):
        raise bad(where, "host", "a host is a table")
    if unknown := set(entry) - _HOST_KEYS:
        raise bad(where, sorted(unknown)[0], f"known: {', '.join(sorted(_HOST_KEYS))}")
    name = _text(entry, "name", where)
    if not name:
        raise bad(where, "name", "a host needs a name")
    tainted = entry.get("tainted")
    if tainted is not None and (not isinstance(tainted, int) or isinstance(tainted, bool)):
        raise bad(where, "tainted", "the number in /proc/sys/kernel/tainted")
    dkms = entry.get("dkms")
    return HostFacts(
        name,
        _text(entry, "release", where),
        tainted,
        tuple(_module(item, where) for item in _list(entry, "modules", where)),
        None if dkms is None else tuple(_dkms(i, where) for i in _list(entry, "dkms", where)),
        tuple(_texts(entry, "livepatches", where)),
        _text(entry, "lockdown", where),
        tuple(_texts(entry, "notes", where)),
    )


def _module(item: object, where: str) -> HostModule:
    if isinstance(item, str):
        return HostModule(item, "O")
    if not isinstance(item, Mapping) or not _text(item, "name", where):
        raise bad(where, "modules", 'a name, or { name = "nvidia", taint = "POE" }')
    return HostModule(
        _text(item, "name", where),
        _text(item, "taint", where) or "O",
        _text(item, "version", where),
    )


def _dkms(item: object, where: str) -> DkmsEntry:
    if not isinstance(item, Mapping) or not _text(item, "module", where):
        raise bad(where, "dkms", "module, version, kernel and status, as in `dkms status`")
    return DkmsEntry(
        *(_text(item, key, where) for key in ("module", "version", "kernel", "status"))
    )


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = entry.get(key, [])
    if not isinstance(value, list):
        raise bad(where, key, "it must be a list")
    return value


def _texts(entry: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = _list(entry, key, where)
    if not all(isinstance(item, str) for item in value):
        raise bad(where, key, "it must be a list of strings")
    return value


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise bad(where, key, "it must be a string")
    return value
