"""The settings in a kernel configuration that a performance reader looks for."""

from __future__ import annotations

from dataclasses import dataclass

from kernleap.model.kconfig import parse

_PREEMPTION = (
    ("PREEMPT_RT", "rt"),
    ("PREEMPT", "full"),
    ("PREEMPT_LAZY", "lazy"),
    ("PREEMPT_VOLUNTARY", "voluntary"),
    ("PREEMPT_NONE", "none"),
)
_LTO = (("LTO_CLANG_FULL", "full"), ("LTO_CLANG_THIN", "thin"), ("LTO_NONE", "none"))


@dataclass(frozen=True, slots=True)
class Highlight:
    """One setting that matters, in words. `option` is what it was read from."""

    name: str
    value: str
    option: str


def highlights(text: str) -> tuple[Highlight, ...]:
    """The settings that a comparison of kernels should be read with.

    An option that the kernel does not know is *absent*, which is not the same as *n*.
    """
    options = parse(text)
    preemption = _first_set(options, _PREEMPTION)
    if options.get("PREEMPT_DYNAMIC") == "y":
        preemption += ", dynamic"
    mitigations = sorted(
        name.removeprefix("MITIGATION_").lower().replace("_", "-")
        for name, value in options.items()
        if name.startswith("MITIGATION_") and value == "y"
    )
    switch = options.get("CPU_MITIGATIONS", options.get("SPECULATION_MITIGATIONS", "absent"))
    return (
        Highlight("compiler", options.get("CC_VERSION_TEXT", "absent"), "CC_VERSION_TEXT"),
        Highlight("timer frequency", options.get("HZ", "absent"), "HZ"),
        Highlight("preemption", preemption, "PREEMPT*"),
        Highlight("mitigations", switch, "CPU_MITIGATIONS"),
        Highlight("mitigations built", ", ".join(mitigations) or "none", "MITIGATION_*"),
        Highlight("cache-aware scheduling", options.get("SCHED_CACHE", "absent"), "SCHED_CACHE"),
        _plain(options, "memory zeroed on allocation", "INIT_ON_ALLOC_DEFAULT_ON"),
        _plain(options, "memory zeroed on free", "INIT_ON_FREE_DEFAULT_ON"),
        Highlight("link-time optimisation", _first_set(options, _LTO), "LTO_*"),
        _plain(options, "randomised kernel stack", "RANDOMIZE_KSTACK_OFFSET_DEFAULT"),
        _plain(options, "hardened user copy", "HARDENED_USERCOPY"),
        _plain(options, "auditing of system calls", "AUDITSYSCALL"),
    )


def _first_set(options: dict[str, str], choices: tuple[tuple[str, str], ...]) -> str:
    return next((word for name, word in choices if options.get(name) == "y"), "absent")


def _plain(options: dict[str, str], name: str, option: str) -> Highlight:
    return Highlight(name, options.get(option, "absent"), option)
