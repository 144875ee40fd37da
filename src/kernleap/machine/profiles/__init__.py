"""Profiles: machine shapes by name, one TOML file each beside this one, read strictly."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path

from kernleap.model.errors import UsageError
from kernleap.model.topology import Topology
from kernleap.store.codec import CodecError, decode, encode

DEFAULT = "two-llc"


def names() -> tuple[str, ...]:
    """Names of the profiles that come with kernleap."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml")))


@cache
def load(name: str) -> Topology:
    """A profile by its name, or by the path of a TOML file (which has a dot or a slash).

    Raises:
        UsageError: there is none, or the file is wrong; it says where.
    """
    if name in names():
        text = resources.files(__name__).joinpath(f"{name}.toml").read_text("utf-8")
        return parse(text, name, f"{name}.toml")
    if not {".", "/"} & set(name):
        raise UsageError(
            f"There is no profile {name!r}",
            cause=f"known: {', '.join(names())}",
            next_step="kernleap profile list, or give a file: ./NAME.toml",
        )
    try:
        text = Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot read the profile",
            where=name,
            cause=str(error),
            next_step="kernleap profile capture --toml FILE makes one of this machine",
        ) from error
    return parse(text, Path(name).stem, name)


def parse(text: str, name: str, where: str) -> Topology:
    """The profile in a TOML text.

    Raises:
        UsageError: no TOML, an unknown, missing or mistyped key, or a shape that contradicts
            itself.
    """
    try:
        table = tomllib.loads(text)
        return decode(Topology, {"name": name, **table})
    except (tomllib.TOMLDecodeError, CodecError, ValueError) as error:
        raise UsageError(
            "this is no profile of a machine",
            where=where,
            cause=str(error),
            next_step="compare it with the output of kernleap profile show two-llc --toml",
        ) from error


def to_toml(topology: Topology) -> str:
    """The profile as a file that `load` reads back equal, but for its name (the file's)."""
    tables: list[str] = []
    head: list[str] = []
    for key, value in encode(topology).items():
        if key == "name":
            continue
        if isinstance(value, dict):
            rows = [f"{inner} = {_toml(one)}" for inner, one in value.items()]
            tables += ["", f"[{key}]", *rows]
        else:
            head.append(f"{key} = {_toml(value)}")
    return "\n".join((*head, *tables)) + "\n"


def _toml(value: object) -> str:
    # The strings, numbers, booleans and lists of a profile look alike in TOML and JSON.
    return json.dumps(value, ensure_ascii=False)
