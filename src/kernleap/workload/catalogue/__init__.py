"""The catalogue of workloads: TOML files beside this one, read strictly.

A file is a family: `family = "..."` and one table `[workload.NAME]` for each of its workloads.
Files in the order of their names, and entries in the order they are written, give the order in
which regions run, which is part of what a count depends on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from kernleap.model.errors import UsageError
from kernleap.workload.allreduce.region import AllreduceRegion
from kernleap.workload.needs import ALLREDUCE as ALLREDUCE
from kernleap.workload.needs import MICRO as MICRO
from kernleap.workload.needs import SERVING as SERVING
from kernleap.workload.placement import PLACEMENT, WORKLOADS, PlacementRegion
from kernleap.workload.serving.region import TINY, ServingRegion
from kernleap.workload.spec import FORMS, Region, WorkloadSpec

AnyRegion = Region | ServingRegion | PlacementRegion | AllreduceRegion

_REQUIRED: dict[str, type] = {
    "description": str,
    "why": str,
    "forms": list,
    "iterations": int,
    "warmup": int,
}
_OPTIONAL: dict[str, type] = {"program": str, "params": list, "tags": list, "aggregation": str}
_ITEMS: dict[str, type] = {"forms": str, "params": int, "tags": str}
_WORDS = {str: "a string", int: "an integer", list: "a list", dict: "a table"}


@cache
def load() -> Mapping[str, WorkloadSpec]:
    """All workloads by name, in the order they run.

    Raises:
        UsageError: a file of the catalogue is wrong; it says which, and which key.
    """
    specs: dict[str, WorkloadSpec] = {}
    files = [f for f in resources.files(__name__).iterdir() if f.name.endswith(".toml")]
    for file in sorted(files, key=lambda f: f.name):
        for spec in parse(file.read_text("utf-8"), file.name):
            if spec.name in specs:
                raise _wrong("defined twice", file.name, f"workload.{spec.name}")
            specs[spec.name] = spec
    return MappingProxyType(specs)


def parse(text: str, file: str) -> tuple[WorkloadSpec, ...]:
    """The workloads of one catalogue file, in the order they are written.

    Args:
        text: the TOML.
        file: its name, for errors.

    Raises:
        UsageError: no TOML, an unknown, missing or mistyped key, or a value out of range.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong("not a TOML file", file, cause=str(error)) from None
    _check_keys(document, {"family": str, "workload": dict}, {}, file, "")
    specs = []
    for name, entry in document["workload"].items():
        where = f"workload.{name}"
        if not isinstance(entry, dict):
            raise _wrong("must be a table", file, where)
        _check_keys(entry, _REQUIRED, _OPTIONAL, file, where)
        try:
            specs.append(
                WorkloadSpec(
                    name=name,
                    program=entry.get("program", name),
                    family=document["family"],
                    description=" ".join(entry["description"].split()),
                    why=" ".join(entry["why"].split()),
                    forms=tuple(entry["forms"]),
                    iterations=entry["iterations"],
                    warmup=entry["warmup"],
                    params=tuple(entry.get("params", ())),
                    tags=tuple(entry.get("tags", ())),
                    aggregation=entry.get("aggregation"),
                )
            )
        except ValueError as error:
            raise _wrong("out of range", file, where, cause=str(error)) from None
    return tuple(specs)


def suites() -> tuple[str, ...]:
    """Names of the suites: `micro`, `serving`, `placement`, `allreduce` and every tag."""
    return (
        MICRO,
        SERVING,
        PLACEMENT,
        ALLREDUCE,
        *sorted({tag for spec in load().values() for tag in spec.tags}),
    )


def suite(name: str) -> tuple[AnyRegion, ...]:
    """The regions of a suite, in the order they run: each workload in each of its forms.

    Raises:
        UsageError: there is no such suite.
    """
    if name not in suites():
        raise UsageError(
            f"There is no suite {name!r}", next_step=f"use one of {', '.join(suites())}"
        )
    if name == SERVING:
        return (TINY,)
    if name == PLACEMENT:
        return WORKLOADS
    if name == ALLREDUCE:
        return (AllreduceRegion(),)
    return tuple(
        Region(spec, form)
        for spec in load().values()
        if name == MICRO or name in spec.tags
        for form in FORMS
        if form in spec.forms
    )


def select(suite_name: str = MICRO, globs: Sequence[str] = ()) -> tuple[AnyRegion, ...]:
    """The regions of a suite that match at least one of `globs` (all, if there are none).

    A glob is matched with the workload's name and with `workload/form`: `tcp-*`, `*/1p`,
    `pipe/2p-*`. The order is the suite's, whatever the order of the globs.

    Raises:
        UsageError: no such suite, or a glob that matches nothing.
    """
    regions = suite(suite_name)
    if not globs:
        return regions
    chosen: set[str] = set()
    for glob in globs:
        names = {r.name for r in regions if _matches(r, glob)}
        if not names:
            raise _no_match(glob, (suite_name,), regions)
        chosen |= names
    return tuple(r for r in regions if r.name in chosen)


def select_from(
    suite_names: Sequence[str], globs: Sequence[str] = ()
) -> dict[str, tuple[AnyRegion, ...]]:
    """What `select` gives for each of several suites; one of which nothing matches is left out.

    Raises:
        UsageError: no such suite, or a glob that matches nothing in any of them.
    """
    chosen: dict[str, tuple[AnyRegion, ...]] = {}
    for name in dict.fromkeys(suite_names):
        regions = suite(name)
        mine = [glob for glob in globs if any(_matches(region, glob) for region in regions)]
        if mine or not globs:
            chosen[name] = select(name, mine)
    known = tuple(region for name in suite_names for region in suite(name))
    for glob in globs:
        if not any(_matches(region, glob) for region in known):
            raise _no_match(glob, suite_names, known)
    return chosen


def _matches(region: AnyRegion, glob: str) -> bool:
    return fnmatchcase(_workload(region), glob) or fnmatchcase(region.name, glob)


def _no_match(
    glob: str,
    suite_names: Sequence[str],
    regions: Sequence[AnyRegion],
) -> UsageError:
    known = ", ".join(dict.fromkeys(_workload(r) for r in regions))
    which = (
        f"suite {suite_names[0]}" if len(suite_names) == 1 else "suites " + ", ".join(suite_names)
    )
    return UsageError(
        f"No workload of the {which} matches {glob!r}",
        cause=f"there are {known}",
        next_step="match a workload (tcp-*) or a workload in a form (*/1p, pipe/2p-*)",
    )


def _workload(region: AnyRegion) -> str:
    return region.name.split("/", 1)[0]


def region(name: str) -> Region:
    """The region called `workload/form`, as a stored plan names it.

    Raises:
        UsageError: this version has no such workload or form.
    """
    workload, _, form = name.partition("/")
    spec = load().get(workload)
    if spec is None or form not in spec.forms:
        raise UsageError(
            f"This version of kernleap has no region {name!r}",
            cause="the plan was made by another version",
        )
    return Region(spec, form)


def _check_keys(
    table: Mapping[str, Any],
    required: Mapping[str, type],
    optional: Mapping[str, type],
    file: str,
    where: str,
) -> None:
    known = {**required, **optional}
    prefix = f"{where}." if where else ""
    for key, value in table.items():
        if key not in known:
            raise _wrong("unknown key", file, prefix + key, cause=f"known: {', '.join(known)}")
        if not _is(value, known[key]):
            raise _wrong(f"must be {_WORDS[known[key]]}", file, prefix + key)
        if key in _ITEMS and not all(_is(item, _ITEMS[key]) for item in value):
            raise _wrong(f"must be a list, each {_WORDS[_ITEMS[key]]}", file, prefix + key)
    for key in required:
        if key not in table:
            raise _wrong("missing key", file, prefix + key)


def _is(value: Any, kind: type) -> bool:
    """isinstance, but TOML's booleans are not integers."""
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _wrong(what: str, file: str, key: str = "", cause: str | None = None) -> UsageError:
    subject = f"{key}: {what}" if key else what
    return UsageError(f"Catalogue of workloads: {subject}", where=file, cause=cause)
