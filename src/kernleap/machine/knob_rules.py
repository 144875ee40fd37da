"""Knobs of a running kernel that need more care than writing and reading back.

Sources: the handlers of these sysctls in the kernel (mm/page-writeback.c, mm/util.c,
kernel/watchdog.c, net/ipv4/devinet.c, net/ipv6/addrconf.c) and
Documentation/admin-guide/sysctl.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernleap.model.errors import UsageError
from kernleap.model.kernel import Modifier, ModifierKind

_COUPLES = (
    ("vm.dirty_bytes", "vm.dirty_ratio"),
    ("vm.dirty_background_bytes", "vm.dirty_background_ratio"),
    ("vm.overcommit_kbytes", "vm.overcommit_ratio"),
)
"""To write one of them sets the other to 0: whichever is not 0 is in force."""

_GROUPS = (
    *_COUPLES,
    ("kernel.watchdog", "kernel.nmi_watchdog", "kernel.soft_watchdog"),
)
"""Knobs that change each other: one of them for an arm is all that means something."""

_IRREVERSIBLE = {
    r"kernel\.kexec_load_disabled": "once set it cannot be taken back",
    r"kernel\.modules_disabled": "once set it cannot be taken back",
    r"kernel\.unprivileged_bpf_disabled": "the value 1 cannot be taken back",
    r"kernel\.yama\.ptrace_scope": "the value 3 cannot be taken back",
    r"net\.ipv4\.ip_forward": "it changes the settings of every interface, which stay changed",
    r"net\.ipv[46]\.conf\.(all|default)\.(forwarding|disable_ipv6)": "it changes the settings of "
    "every interface, which stay changed",
    r"kernel\.watchdog": "it sets other watchdogs, which stay changed",
    r"kernel\.sysrq|vm\.drop_caches|vm\.compact_memory": "it is no setting, or guards the machine",
}


def partner_of(modifier: Modifier) -> str | None:
    """The knob that is changed by setting this one, and by whose value this one is put back."""
    if modifier.kind is ModifierKind.SYSCTL:
        for first, second in _COUPLES:
            if _dotted(modifier.key) in (first, second):
                return second if _dotted(modifier.key) == first else first
    return None


def refuse_unsafe(modifiers: Sequence[Modifier]) -> None:
    """UsageError for knobs that cannot be put back, and for knobs that change each other."""
    keys = {_dotted(m.key): m for m in modifiers if m.kind is ModifierKind.SYSCTL}
    for key, modifier in keys.items():
        for pattern, why in _IRREVERSIBLE.items():
            if re.fullmatch(pattern, key):
                raise UsageError(
                    "this knob is not touched on a running machine",
                    where=str(modifier),
                    cause=why,
                    next_step="compare it in the lab: kernleap compare debian:... with the same "
                    "modifier",
                )
    for group in _GROUPS:
        if len(both := [key for key in group if key in keys]) > 1:
            raise UsageError(
                "these knobs change each other",
                where=" ".join(str(keys[key]) for key in both),
                cause="to set one of them changes the other",
                next_step="leave one of them out, or give them to two arms",
            )


def _dotted(key: str) -> str:
    return key.replace("/", ".")
