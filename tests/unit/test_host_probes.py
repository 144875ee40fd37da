"""What is read of the running machine: facts, softirqs, wakeups."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kernleap.machine.host_facts import host_facts
from kernleap.probe.accounting import net_softirqs, net_softirqs_of
from kernleap.probe.wakeups import WakeupCounter


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CPU = "sys/devices/system/cpu"


def test_facts_of_a_server(tmp_path):
    root = put(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": "7.2.1\n",
            "proc/cmdline": "root=/dev/sda mitigations=auto\n",
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: EPYC 9654\nflags\t\t: fpu vme\n",
            "proc/self/cgroup": "0::/serving.slice/llm\n",
            "sys/fs/cgroup/serving.slice/llm/cpu.max": "400000 100000\n",
            f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
            f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave\n",
            f"{CPU}/smt/active": "1\n",
            f"{CPU}/vulnerabilities/meltdown": "Not affected\n",
            f"{CPU}/vulnerabilities/spectre_v2": "Mitigation: Retpolines\n",
            "sys/devices/system/node/node0/cpulist": "0-95\n",
            "sys/devices/system/node/node1/cpulist": "96-191\n",
        },
    )
    facts = host_facts(root)
    assert facts["kernel_release"] == "7.2.1"
    assert facts["cpu"] == "EPYC 9654"
    assert facts["hypervisor"] is False
    assert facts["governor"] == "performance, powersave"
    assert facts["smt"] == "1"
    assert facts["numa_nodes"] == {"node0": "0-95", "node1": "96-191"}
    assert facts["mitigations"] == {"spectre_v2": "Mitigation: Retpolines"}
    assert facts["cgroup_limits"] == {"cpu.max": "400000 100000"}
    assert "microcode" not in facts


def test_facts_of_this_machine():
    facts = host_facts()
    assert facts["kernel_release"] == os.uname().release
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_softirqs_of_the_network_on_all_cpus():
    text = """                    CPU0       CPU1
          HI:          1          2
      NET_TX:         30        400
      NET_RX:       5000      60000
         RCU:          7          8
"""
    assert net_softirqs_of(text) == 65430
    first = net_softirqs()
    assert first is None or first <= net_softirqs()


def swap(times: int) -> None:
    """Two threads that wake each other, this one `times` times."""
    there, here = os.eventfd(0), os.eventfd(0)

    def answer() -> None:
        for _ in range(times):
            os.eventfd_read(there)
            os.eventfd_write(here, 1)

    other = threading.Thread(target=answer)
    other.start()
    for _ in range(times):
        os.eventfd_write(there, 1)
        os.eventfd_read(here)
    other.join()
    os.close(there)
    os.close(here)


def test_wakeups_are_those_of_the_threads_and_of_what_they_start():
    counter = WakeupCounter.of([threading.get_native_id()])
    if counter.problem:
        pytest.skip(counter.problem)
    before = counter.read()
    swap(300)
    after = counter.read()
    counter.close()
    # Either side wakes the other each time, unless that one had not gone to sleep yet.
    assert after - before >= 100
    assert counter.read() is None


def test_without_tracefs_there_is_no_figure_and_a_reason(tmp_path):
    counter = WakeupCounter.of([os.getpid()], tracefs=(tmp_path,))
    assert counter.read() is None
    assert "sched_waking" in counter.problem


def test_threads_that_have_ended_are_no_error():
    counter = WakeupCounter.of([2**22 - 1])
    assert counter.read() is None
    assert counter.problem
