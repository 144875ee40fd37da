"""Settings of a load, as words that can be compared; without what must not be kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kernleap.imported.document import Node, clean

_SECRET = ("key", "token", "secret", "password", "authorization", "cookie")
"""Members with one of these as a word of their name are never kept (`tokens` are no secret)."""


def words(node: Node | None) -> str:
    """A value as a line of text, "" where there is none. Objects lose nulls and secrets."""
    if node is None or node.value is None:
        return ""
    if isinstance(node.value, str):
        return node.text()
    return clean(json.dumps(_bare(node.value), sort_keys=True, separators=(",", ":")))


def place(node: Node | None) -> str:
    """Scheme, host and port of a URL: user, password, path and query may hold a secret."""
    if node is None:
        return ""
    text = node.text()
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return f"{parts.scheme or 'http'}://{host}" + (f":{port}" if port else "")


def given(settings: dict[str, str]) -> dict[str, str]:
    """Those that have a value."""
    return {name: value for name, value in settings.items() if value}


def several(node: Node | None) -> Iterator[Node]:
    """The elements of an array that need not be there."""
    return node.items() if node is not None else iter(())


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, dict):
        return {
            key: _bare(item)
            for key, item in value.items()
            if item not in (None, [], {}) and not _is_secret(key)
        }
    return value


def _is_secret(name: str) -> bool:
    return bool(set(name.lower().replace("-", "_").split("_")) & set(_SECRET)) or name in _SECRET
