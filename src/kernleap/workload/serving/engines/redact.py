"""A command line without what must not be kept: keys, tokens, passwords."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"
_NAMED = r"(?:key|keys|token|secret|password|passwd|pass|authorization|credential|credentials)"
_NAME = re.compile(rf"(?i)(?:[\w-]*[-_])?(?:api)?{_NAMED}")
_AUTHORIZATION = re.compile(r"(?i)\b(authorization\s*[:=]\s*|bearer\s+|x-api-key\s*[:=]\s*)\S.*")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_KNOWN = re.compile(r"\b(?:sk-|hf_|ghp_|xox[abp]-)[\w-]{6,}")
"""How tokens of well-known services begin."""


def redacted(words: Iterable[str]) -> tuple[str, ...]:
    """The words, with the value of whatever is named like a secret replaced by `[hidden]`.

    That is all words behind an option such as `--api-key` or `--hf-token` up to the next option,
    the value of `--api-key=...` and `HF_TOKEN=...`, what follows `Authorization:` or `Bearer`,
    user and password of a URL, and tokens of well-known services anywhere. A secret that nothing
    gives away stays.
    """
    shown = []
    hiding = False
    for word in words:
        name, equals, _ = word.partition("=")
        secret = _NAME.fullmatch(name.lstrip("-")) is not None
        if word.startswith("-") or (equals and secret):
            hiding = secret and not equals
            shown.append(f"{name}={HIDDEN}" if secret and equals else _within(word))
        else:
            shown.append(HIDDEN if hiding else _within(word))
    return tuple(shown)


def _within(word: str) -> str:
    word = _AUTHORIZATION.sub(rf"\g<1>{HIDDEN}", word)
    return _KNOWN.sub(HIDDEN, _USER.sub(f"{HIDDEN}@", word))
