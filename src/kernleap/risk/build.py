"""How a kernel was built: flavour, scheduler, tick, preemption, LTO, target CPU; and its marks.

A mark is a part of the release or of the package's name that says who changed the kernel and how.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kernleap.model.kernel_facts import KernelFacts

UNKNOWN = "unknown"
_MARKS: tuple[tuple[str, str, bool], ...] = (
    # pattern, what it means, whether it means patches on top of upstream's stable kernel
    (r"-cachyos(?:-[a-z]+)*", "CachyOS", True),
    (r"-zen\d*(?:-\d+)*", "Zen kernel", True),
    (r"-xanmod\d*", "XanMod", True),
    (r"-liquorix|\.liquorix|-lqx\d*", "Liquorix", True),
    (r"-tkg(?:-[a-z]+)*", "linux-tkg", True),
    (r"-hardened\d*", "linux-hardened", True),
    (r"-arch\d+(?:-\d+)?", "Arch Linux", True),
    (r"\.fc\d+", "Fedora", True),
    (r"\.el\d+(?:_\d+)?", "Enterprise Linux", True),
    (r"\+deb\d+(?:\.\d+)?", "Debian", True),
    (r"~bpo\d+\+\d+", "Debian backport", True),
    (r"-(?:generic|lowlatency|aws|azure|gcp|oracle|ibm)$", "Ubuntu", True),
    (r"-(?:default|longterm)$", "SUSE", True),
    (r"-rt\d*(?=[-.+]|$)", "real-time flavour", False),
    (r"-cloud-(?:amd64|arm64)$", "cloud flavour", False),
    (r"-g[0-9a-f]{7,}(?:-dirty)?", "built from a git tree", True),
    (r"-dirty", "built from a changed git tree", True),
)
_PREEMPTION = (
    ("PREEMPT_RT", "real-time"),
    ("PREEMPT", "full"),
    ("PREEMPT_LAZY", "lazy"),
    ("PREEMPT_VOLUNTARY", "voluntary"),
    ("PREEMPT_NONE", "none"),
)
_LTO = (
    ("LTO_CLANG_FULL", "Clang, full"),
    ("LTO_CLANG_THIN", "Clang, thin"),
    ("LTO_GCC", "GCC"),
    ("LTO_NONE", "none"),
)
_SCHEDULERS = (
    ("SCHED_BORE", "BORE"),
    ("SCHED_BMQ", "BMQ"),
    ("SCHED_PDS", "PDS"),
    ("CACULE_SCHED", "CacULE"),
    ("TT_SCHED", "TT"),
)
_MARCH = (
    ("X86_NATIVE_CPU", "native"),
    ("MNATIVE_INTEL", "native (Intel)"),
    ("MNATIVE_AMD", "native (AMD)"),
    ("MZEN5", "znver5"),
    ("MZEN4", "znver4"),
    ("MZEN3", "znver3"),
)
_EEVDF_SINCE = (6, 6)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark in the kernel's names."""

    text: str
    meaning: str
    patched: bool


@dataclass(frozen=True, slots=True)
class Build:
    """How the kernel was built; `unknown` where its configuration is not at hand."""

    marks: tuple[Mark, ...]
    patch_level: str
    """The packager's own count of this upstream version (`7.0.3-2` has `2`), "" if none."""
    scheduler: str
    sched_ext: str
    """`yes`, `no` or `unknown`: whether BPF schedulers can be loaded."""
    lto: str
    hz: str
    preemption: str
    march: str
    compiler: str
    optimisation: str

    @property
    def patched(self) -> bool:
        """Whether a mark says that the kernel is not upstream's own."""
        return any(mark.patched for mark in self.marks)


def build_of(facts: KernelFacts, kconfig: Mapping[str, str] | None, series: str) -> Build:
    """Read marks and configuration."""
    config = kconfig or {}
    known = kconfig is not None
    preemption = _first(config, _PREEMPTION) or UNKNOWN
    if known and config.get("PREEMPT_DYNAMIC") == "y":
        preemption += ", changeable at boot"
    return Build(
        marks=_marks(facts),
        patch_level=_patch_level(facts),
        scheduler=_scheduler(config, series) if known else UNKNOWN,
        sched_ext=_flag(kconfig, "SCHED_CLASS_EXT"),
        lto=_first(config, _LTO) or UNKNOWN,
        hz=config.get("HZ", UNKNOWN),
        preemption=preemption,
        march=_march(facts, kconfig),
        compiler=config.get("CC_VERSION_TEXT", UNKNOWN),
        optimisation=_optimisation(kconfig),
    )


def _marks(facts: KernelFacts) -> tuple[Mark, ...]:
    texts = [facts.release, facts.version]
    texts += [text for package in facts.packages for text in (package.version,)]
    texts += [package.name.removeprefix("linux") for package in facts.packages]
    found: dict[str, Mark] = {}
    for pattern, meaning, patched in _MARKS:
        for text in texts:
            if match := re.search(pattern, text):
                found.setdefault(meaning, Mark(match[0], meaning, patched))
    return tuple(found.values())


def _patch_level(facts: KernelFacts) -> str:
    """The number behind the upstream version in the package's version (pkgrel, Debian revision)."""
    version = facts.version or next((package.version for package in facts.packages), "")
    _, dash, rest = version.rpartition("-")
    return rest if dash else ""


def _scheduler(config: Mapping[str, str], series: str) -> str:
    extra = _first(config, _SCHEDULERS)
    if extra:
        return extra
    parts = series.split(".")
    if len(parts) != 2:
        return UNKNOWN
    return "EEVDF" if (int(parts[0]), int(parts[1])) >= _EEVDF_SINCE else "CFS"


def _march(facts: KernelFacts, kconfig: Mapping[str, str] | None) -> str:
    if kconfig is not None:
        named = _first(kconfig, _MARCH)
        if named:
            return named
        level = kconfig.get("X86_64_VERSION", "")
        if level.isdigit():
            return "x86-64" if level == "1" else f"x86-64-v{level}"
        if facts.arch == "amd64":
            return "x86-64"
    for package in facts.packages:
        if match := re.fullmatch(r"x86_64_v([234])", package.arch):
            return f"x86-64-v{match[1]}"
    return UNKNOWN


def _optimisation(kconfig: Mapping[str, str] | None) -> str:
    if kconfig is None:
        return UNKNOWN
    options = (
        ("CC_OPTIMIZE_FOR_PERFORMANCE_O3", "-O3"),
        ("CC_OPTIMIZE_FOR_PERFORMANCE", "-O2"),
        ("CC_OPTIMIZE_FOR_SIZE", "-Os"),
    )
    level = _first(kconfig, options) or UNKNOWN
    profiled = [
        word
        for option, word in (("AUTOFDO_CLANG", "AutoFDO"), ("PROPELLER_CLANG", "Propeller"))
        if kconfig.get(option) == "y"
    ]
    return ", ".join([level, *profiled])


def _flag(kconfig: Mapping[str, str] | None, option: str) -> str:
    if kconfig is None:
        return UNKNOWN
    return "yes" if kconfig.get(option) == "y" else "no"


def _first(config: Mapping[str, str], choices: tuple[tuple[str, str], ...]) -> str:
    return next((word for name, word in choices if config.get(name) == "y"), "")
