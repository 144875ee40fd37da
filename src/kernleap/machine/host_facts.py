"""Facts of the machine that kernleap runs on, as a trial's record carries them.

Read from /proc and /sys alone. What a machine does not show is not in the record.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_VULNERABILITIES = "sys/devices/system/cpu/vulnerabilities"
_GOVERNORS = "sys/devices/system/cpu"


def host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Facts by name, all JSON: CPU, governor, SMT, NUMA, cgroup, kernel, mitigations.

    Args:
        root: where `proc` and `sys` are.
    """
    facts: dict[str, Any] = {}
    for read in (_kernel, _cpu, _topology, _mitigations, _cgroup):
        facts |= read(root)
    return {name: value for name, value in facts.items() if value not in (None, "", {}, [])}


def _kernel(root: Path) -> dict[str, Any]:
    return {
        "kernel_release": _line(root / "proc/sys/kernel/osrelease"),
        "kernel_version": _line(root / "proc/version"),
        "cmdline": _line(root / "proc/cmdline"),
        "boot_id": _line(root / "proc/sys/kernel/random/boot_id"),
        "clocksource": _line(
            root / "sys/devices/system/clocksource/clocksource0/current_clocksource"
        ),
        "preemption": _line(root / "sys/kernel/debug/sched/preempt"),
    }


def _cpu(root: Path) -> dict[str, Any]:
    text = _text(root / "proc/cpuinfo")
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
    return {
        "cpu": _field(text, "model name") or _field(text, "CPU part"),
        "microcode": _field(text, "microcode"),
        "online_cpus": _line(root / "sys/devices/system/cpu/online"),
        "hypervisor": bool(flags and "hypervisor" in flags[1].split()),
        "governor": _each(root / _GOVERNORS, "cpu[0-9]*/cpufreq/scaling_governor"),
        "boost": _line(root / "sys/devices/system/cpu/cpufreq/boost")
        or _line(root / "sys/devices/system/cpu/intel_pstate/no_turbo"),
        "idle_driver": _line(root / "sys/devices/system/cpu/cpuidle/current_driver"),
    }


def _topology(root: Path) -> dict[str, Any]:
    nodes = root / "sys/devices/system/node"
    return {
        "smt": _line(root / "sys/devices/system/cpu/smt/active"),
        "numa_nodes": {
            node.name: _line(node / "cpulist") for node in sorted(nodes.glob("node[0-9]*"))
        },
        "llc": _each(root / "sys/devices/system/cpu", "cpu[0-9]*/cache/index3/shared_cpu_list"),
        "thp": _line(root / "sys/kernel/mm/transparent_hugepage/enabled"),
    }


def _mitigations(root: Path) -> dict[str, Any]:
    files = sorted((root / _VULNERABILITIES).glob("*"))
    states = {file.name: _line(file) for file in files}
    return {"mitigations": {name: text for name, text in states.items() if text != "Not affected"}}


def _cgroup(root: Path) -> dict[str, Any]:
    """The own control groups, and the limits on CPUs of the unified one."""
    text = _text(root / "proc/self/cgroup").strip()
    unified = next((line[3:] for line in text.splitlines() if line.startswith("0::")), None)
    limits = {}
    if unified is not None:
        directory = root / "sys/fs/cgroup" / unified.lstrip("/")
        for name in ("cpu.max", "cpu.weight", "cpuset.cpus.effective", "memory.max"):
            limits[name] = _line(directory / name)
    return {
        "cgroup": text.replace("\n", " "),
        "cgroup_limits": {name: value for name, value in limits.items() if value},
    }


def _each(root: Path, pattern: str) -> str:
    """The distinct values of a file that each CPU has, joined."""
    return ", ".join(sorted({_line(path) for path in root.glob(pattern)} - {""}))


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", text, re.M)
    return found[1].strip() if found else ""


def _line(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except (OSError, ValueError):
        return ""
