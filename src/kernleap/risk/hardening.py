"""Protection that a configuration or a boot parameter takes away, by a dated table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kernleap.model.version import KernelVersion, version_of
from kernleap.risk.library import Library
from kernleap.risk.tables import Hardening


@dataclass(frozen=True, slots=True)
class Weakness:
    """One option or boot parameter that is not as it should be."""

    name: str
    value: str
    """What it is: `n`, `y`, `absent`, or the parameter's value."""
    wanted: str
    weight: str
    why: str
    baseline: str = ""
    """What it is in the baseline; "" if that is not known."""

    @property
    def worse(self) -> bool:
        """Whether the baseline is known to be right where this kernel is not."""
        return self.baseline not in {"", self.value}


def weaknesses(
    kconfig: Mapping[str, str],
    baseline: Mapping[str, str] | None,
    library: Library,
    arch: str,
    version: KernelVersion | None,
) -> tuple[Weakness, ...]:
    """What is wrong in a configuration, weightiest first; with the baseline's value beside it."""
    found = []
    for rule in library.hardening:
        if rule.arch and rule.arch != arch:
            continue
        name, value = _value(kconfig, rule)
        if _right(value, rule, version):
            continue
        there = ""
        if baseline is not None:
            there = _value(baseline, rule)[1]
        found.append(Weakness(name, value, rule.want, rule.weight, rule.why, there))
    order = ("high", "moderate", "note")
    return tuple(sorted(found, key=lambda item: (not item.worse, order.index(item.weight))))


def weak_parameters(cmdline: Iterable[str], library: Library) -> tuple[Weakness, ...]:
    """Boot parameters that take protection away."""
    found = []
    for text in cmdline:
        name, _, value = text.partition("=")
        for rule in library.parameters:
            if rule.name == name and (not rule.value or re.fullmatch(rule.value, value)):
                found.append(Weakness(name, value, "", rule.weight, rule.why))
    return tuple(found)


def _value(kconfig: Mapping[str, str], rule: Hardening) -> tuple[str, str]:
    """The option by the name it has here, and its value: on if any of the names is."""
    for name in rule.names:
        if kconfig.get(name) in {"y", "m"}:
            return name, "y"
    for name in rule.names:
        if name in kconfig:
            return name, "n"
    return rule.names[0], "absent"


def _right(value: str, rule: Hardening, version: KernelVersion | None) -> bool:
    if rule.want == "n":
        return value != "y"
    if value == "absent" and rule.since:
        since = version_of(rule.since)
        return version is None or since is None or version < since
    return value == "y"
