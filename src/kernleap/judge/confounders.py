"""What differs between two arms besides what was asked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import replace
from fnmatch import translate
from functools import lru_cache
from importlib import resources
from typing import Any

from kernleap.judge.settings import order_of_trials, unlike_settings
from kernleap.model.kernel import Arch
from kernleap.model.metric import qualified
from kernleap.model.result import Confounder
from kernleap.model.run import ArmInputs, RunData
from kernleap.model.trial import TrialStatus

UNKNOWN = "unknown"
UNSET = "not set"
_VALUE = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)
_FLAVOUR = re.compile(
    r"[+\-]((?:cloud|rt|unsigned|amd64|arm64|generic|cachyos|arch|zen|lts|aws|azure|gcp)[\w-]*)$"
)
_FACTS = {
    "emulator": "counts depend on the emulator's version",
    "cpu": "counts depend on the CPU model",
    "guest_sha256": "the arms did not run the same guest",
}


def confounders(run: RunData, arm: str) -> tuple[Confounder, ...]:
    """Confounders of a candidate arm against the baseline, weightiest kinds first.

    Arms that boot the same kernel image differ only by their modifiers, which were asked for.
    On several architectures the kernels of each are compared; names say which unless it is amd64.
    """
    baseline = run.plan.baseline.name
    found = _machine(run, baseline, arm) + unlike_settings(run, baseline, arm)
    found += order_of_trials(run, baseline, arm)
    for arch in run.plan.arches:
        differences = _of_kernels(run, arm, arch)
        if len(run.plan.arches) > 1:
            differences = tuple(replace(d, name=qualified(d.name, arch)) for d in differences)
        found += differences
    return found


def _of_kernels(run: RunData, arm: str, arch: Arch) -> tuple[Confounder, ...]:
    baseline = run.plan.baseline.name
    first, second = qualified(baseline, arch), qualified(arm, arch)
    inputs = {item.key: item for item in run.plan.inputs}
    here, there = inputs.get(first), inputs.get(second)
    if here and there and here.kernel_sha256 == there.kernel_sha256:
        return ()
    found: tuple[Confounder, ...] = ()
    if here and there:
        found += _compiler(run, baseline, arm, arch) + _provenance(here, there)
    return found + config_differences(run.kconfigs.get(first), run.kconfigs.get(second))


def kconfig(text: str) -> dict[str, str]:
    """Options that are set, by name without CONFIG_."""
    return dict(_VALUE.findall(text))


def _machine(run: RunData, baseline: str, candidate: str) -> tuple[Confounder, ...]:
    found = []
    for part in range(len(run.plan.parts)):
        for fact, why in _FACTS.items():
            here, there = _fact(run, baseline, fact, {part}), _fact(run, candidate, fact, {part})
            if here and there and here != there:
                found.append(Confounder("machine", fact, here, there, why))
    return tuple(dict.fromkeys(found))


def _compiler(run: RunData, baseline: str, candidate: str, arch: Arch) -> tuple[Confounder, ...]:
    parts = {n for n, part in enumerate(run.plan.parts) if part.machine.arch is arch}
    here, there = (_fact(run, name, "compiler", parts) for name in (baseline, candidate))
    if not here or not there or here == there:
        return ()
    why = "another compiler makes other code of the same source: paths differ by several per cent"
    return (Confounder("compiler", "compiler", here, there, why),)


def _fact(run: RunData, arm: str, fact: str, parts: Collection[int]) -> str:
    def shown(value: Any) -> str:
        return str(value)

    values = {
        shown(record.facts[fact])
        for record in run.records
        if record.trial.arm == arm
        and record.trial.part in parts
        and record.status is TrialStatus.OK
        and fact in record.facts
    }
    return ", ".join(sorted(values))


def _provenance(baseline: ArmInputs, candidate: ArmInputs) -> tuple[Confounder, ...]:
    found = []
    pairs = [
        ("source", baseline.provenance.get("source", ""), candidate.provenance.get("source", ""),
         "packaged by others: other configuration, patches and compiler"),
        ("flavour", flavour(baseline.release), flavour(candidate.release),
         "another flavour is another configuration"),
        ("suite", baseline.provenance.get("suite", ""), candidate.provenance.get("suite", ""),
         "another suite means another compiler and other distribution patches"),
    ]  # fmt: skip
    for name, here, there, why in pairs:
        if here != there:
            found.append(Confounder("provenance", name, here or UNKNOWN, there or UNKNOWN, why))
    return tuple(found)


def flavour(release: str) -> str:
    """The flavour in a release (`7.2.12+deb13-cloud-amd64` has `cloud-amd64`), or ""."""
    match = _FLAVOUR.search(release)
    return match[1] if match else ""


def config_differences(baseline: str | None, candidate: str | None) -> tuple[Confounder, ...]:
    """Options that differ between two configurations (texts), those of weight one by one."""
    if baseline is None or candidate is None:

        def known(text: str | None) -> str:
            return UNKNOWN if text is None else "known"

        return (
            Confounder(
                "config", "configuration", known(baseline), known(candidate),
                "without both configurations it is not known which options differ",
            ),
        )  # fmt: skip
    here, there = kconfig(baseline), kconfig(candidate)
    found: list[Confounder] = []
    other: list[str] = []
    for name in sorted(here.keys() | there.keys()):
        old, new = here.get(name, UNSET), there.get(name, UNSET)
        if old == new:
            continue
        kind, why = weight(name)
        if why:
            found.append(Confounder(kind, name, old.strip('"'), new.strip('"'), why))
        else:
            other.append(name)
    found.sort(key=lambda item: (item.kind != "compiler", item.name))
    if other:
        shown = ", ".join(other[:5]) + (", ..." if len(other) > 5 else "")
        found.append(
            Confounder(
                "config", "other options",
                f"{len(here)} set", f"{len(there)} set",
                f"{len(other)} more options differ ({shown}), none known to touch what is measured",
            )
        )  # fmt: skip
    return tuple(found)


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    text = resources.files("kernleap.judge").joinpath("kconfig.toml").read_text("utf-8")
    return tuple(
        (
            entry.get("kind", "config"),
            entry["why"],
            re.compile("|".join(translate(name) for name in entry["names"])),
        )
        for entry in tomllib.loads(text)["option"]
    )


def weight(option: str) -> tuple[str, str]:
    """Kind of confounder and why the option matters; an empty reason if it does not."""
    for kind, why, pattern in _table():
        if pattern.match(option):
            return kind, why
    return "config", ""
