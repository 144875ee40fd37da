"""How the running kernel accounts CPU time, and the machine's own account (/proc/stat)."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.serving import Accounting
from kernleap.workload.serving.proc import TICK_NS, read_text

LEAST_HZ = 100
"""The slowest tick a kernel can be built with: of all, it samples worst."""


def accounting() -> Accounting:
    """What the running kernel's configuration says, or the worst case without it."""
    return accounting_of(running_config(), _full_dynticks())


def accounting_of(config: str, full_dynticks: bool) -> Accounting:
    """How a kernel of this configuration accounts.

    VIRT_CPU_ACCOUNTING_NATIVE stamps each entry and exit; VIRT_CPU_ACCOUNTING_GEN does so only
    while some CPU runs with full dynticks (kernel/Kconfig `Cputime accounting`).

    Args:
        config: text of its configuration; "" if it cannot be had.
        full_dynticks: whether a CPU runs with full dynticks (`nohz_full=`).
    """
    built = {
        option: f"CONFIG_{option}=y\n" in config
        for option in ("VIRT_CPU_ACCOUNTING_NATIVE", "VIRT_CPU_ACCOUNTING_GEN")
    }
    hz = re.search(r"^CONFIG_HZ=(\d+)$", config, re.M)
    exact = built["VIRT_CPU_ACCOUNTING_NATIVE"] or (
        built["VIRT_CPU_ACCOUNTING_GEN"] and full_dynticks
    )
    apart = exact or "CONFIG_IRQ_TIME_ACCOUNTING=y\n" in config
    return Accounting(exact, int(hz[1]) if hz else LEAST_HZ, apart if config else None)


@dataclass(frozen=True, slots=True)
class MachineSample:
    """The first line of /proc/stat, cumulative over all CPUs, in nanoseconds."""

    busy_ns: int
    softirq_ns: int
    interrupt_ns: int
    steal_ns: int


def sample_machine() -> MachineSample:
    """The machine's account now. Sampled by ticks where the kernel accounts by ticks."""
    return machine_of(read_text("/proc/stat"))


def machine_of(text: str) -> MachineSample:
    """Read the text of /proc/stat; its units are USER_HZ (proc_stat(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(word) * TICK_NS for word in text.split("\n", 1)[0].split()[1:9]
    )
    return MachineSample(user + nice + system + irq + softirq, softirq, irq, steal)


def net_softirqs() -> int | None:
    """NET_RX and NET_TX softirqs of all CPUs since boot; None where /proc/softirqs is missing."""
    try:
        return net_softirqs_of(read_text("/proc/softirqs"))
    except OSError:
        return None


def net_softirqs_of(text: str) -> int:
    """Read the text of /proc/softirqs: a line for each kind, a column for each CPU."""
    rows = (line.split() for line in text.splitlines()[1:])
    return sum(sum(map(int, row[1:])) for row in rows if row and row[0] in ("NET_RX:", "NET_TX:"))


def running_config() -> str:
    """The running kernel's configuration, "" if it cannot be had."""
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode("utf-8", "replace")
    except (OSError, EOFError):
        pass
    try:
        return Path(f"/boot/config-{os.uname().release}").read_text("utf-8", "replace")
    except OSError:
        return ""


def _full_dynticks() -> bool:
    try:
        text = Path("/sys/devices/system/cpu/nohz_full").read_text()
    except OSError:
        return False
    return text.strip() not in ("", "(null)")
