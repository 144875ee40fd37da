"""Kernel configurations as text: one parser for all who read them."""

from __future__ import annotations

import re

_SET = re.compile(r'CONFIG_([A-Za-z0-9_]+)=(?:"(.*)"|(.*))')
_UNSET = re.compile(r"# CONFIG_([A-Za-z0-9_]+) is not set")


def parse(text: str) -> dict[str, str]:
    """Options without `CONFIG_`; what *is not set* has the value `n`. Strings lose quotes."""
    options: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line):
            options[match[1]] = match[2] if match[2] is not None else match[3]
        elif match := _UNSET.fullmatch(line):
            options[match[1]] = "n"
    return options
