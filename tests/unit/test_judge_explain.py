"""Explanations: exact sums, the right operations, the right subsystem."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.judge import judge
from kernleap.judge.explain import OTHER, group
from kernleap.judge.policy import load
from kernleap.model.trial import Profile, Samples
from simulated import Boot, run_of

REGION = "unix-stream/1p"


def boot_with(variants: list[dict[str, int]], operations: list[int]) -> Boot:
    boot = Boot()
    values: list[float] = []
    for number, (counts, times) in enumerate(zip(variants, operations, strict=True)):
        values += [sum(counts.values())] * times
        boot.profiles.append(
            Profile(REGION, number, times, {name: n * times for name, n in counts.items()})
        )
    boot.samples.append(
        Samples(f"{REGION}/kernel_instructions", "n", np.asarray(values, dtype=np.float64))
    )
    return boot


def finding_of(baseline: list[Boot], candidate: list[Boot]):
    run = run_of({"baseline": baseline, "candidate": candidate}, regions=(REGION,))
    return judge(run, load()).findings["candidate"][0]


def test_the_operations_at_the_central_value_explain_it_not_the_outliers():
    quiet = {"unix_stream_sendmsg": 500, "avg_vruntime": 40, "kfree_skbmem": 60}
    longer = {"unix_stream_sendmsg": 510, "kfree_skbmem": 55, "hrtick_start_fair": 90}
    tick = {"tick_nohz_handler": 9000}
    found = finding_of(
        [boot_with([quiet, quiet | tick], [18, 2]) for _ in range(3)],
        [boot_with([longer, longer | tick], [18, 2]) for _ in range(3)],
    )
    deltas = {f.name: (f.group, f.delta) for f in found.functions}
    assert deltas == {
        "hrtick_start_fair": ("scheduler", 90.0),
        "avg_vruntime": ("scheduler", -40.0),
        "unix_stream_sendmsg": ("unix sockets", 10.0),
        "kfree_skbmem": ("sockets", -5.0),
    }
    assert [f.name for f in found.functions][:2] == ["hrtick_start_fair", "avg_vruntime"]
    assert sum(f.delta for f in found.functions) == found.explained_total == 55.0


def test_clones_of_one_function_are_one_function():
    found = finding_of(
        [boot_with([{"pipe_write.isra.0": 900, "do_syscall_64": 100}], [20])] * 3,
        [boot_with([{"pipe_write": 950, "do_syscall_64": 100}], [20])] * 3,
    )
    assert [(f.name, f.delta) for f in found.functions] == [("pipe_write", 50.0)]


def test_the_boot_at_the_median_is_the_witness():
    def arm(*lengths: int) -> list[Boot]:
        return [boot_with([{"do_syscall_64": n}], [20]) for n in lengths]

    found = finding_of(arm(1000, 1001, 1003), arm(1502, 1500, 1501))
    assert found.comparison.baseline.median == 1001
    assert found.comparison.candidate.median == 1501
    assert found.explained_total == 500.0


NAMES = ["do_syscall_64", "pipe_write", "tcp_ack", "kfree", "unheard_of", "avg_vruntime.cold"]
COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 10**6), min_size=1)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS, st.integers(1, 300))
def test_deltas_add_up_to_the_difference_exactly(before, after, operations):
    found = finding_of(
        [boot_with([before], [operations])] * 3, [boot_with([after], [operations])] * 3
    )
    difference = sum(after.values()) - sum(before.values())
    if not found.functions:
        assert found.explained_total == 0.0
        return
    assert sum(Fraction(f.delta) for f in found.functions) == difference
    assert found.explained_total == difference
    assert found.comparison.candidate.median - found.comparison.baseline.median == difference


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("set_next_task_fair", "scheduler"),
        ("avg_vruntime", "scheduler"),
        ("__schedule", "scheduler"),
        ("try_to_wake_up", "scheduler"),
        ("__hrtimer_start_range_ns", "timers"),
        ("hrtick_start_fair", "scheduler"),
        ("prandom_u32_state", "stack randomisation"),
        ("syscall_exit_to_user_mode", "entry and system calls"),
        ("entry_SYSCALL_64_after_hwframe", "entry and system calls"),
        ("__x64_sys_getppid", "entry and system calls"),
        ("unix_stream_read_generic", "unix sockets"),
        ("tcp_sendmsg_locked", "tcp/ip"),
        ("__ip_queue_xmit", "tcp/ip"),
        ("udp_sendmsg", "udp"),
        ("ep_poll_callback", "epoll and poll"),
        ("futex_wait_setup", "futex"),
        ("_raw_spin_lock_irqsave", "locking"),
        ("mutex_lock", "locking"),
        ("rcu_read_unlock_strict", "rcu"),
        ("handle_softirqs", "interrupts and softirqs"),
        ("audit_filter_syscall", "security and audit"),
        ("apparmor_socket_sendmsg", "security and audit"),
        ("__check_object_size", "hardened usercopy"),
        ("kmem_cache_alloc_noprof", "slab memory"),
        ("handle_mm_fault", "memory management"),
        ("clear_page_erms", "memory copies"),
        ("memset_orig", "memory copies"),
        ("io_submit_sqes", "io_uring"),
        ("pipe_write.isra.0", "pipes"),
        ("vfs_read", "files and vfs"),
        ("eventfd_write", "eventfd, signalfd, timerfd"),
        ("chacha_block_generic", "random"),
        ("sock_sendmsg", "sockets"),
        ("__alloc_skb", "sockets"),
        ("loopback_xmit", "network devices"),
        ("copy_process", "processes and threads"),
        ("zzz_unheard_of", OTHER),
    ],
)
def test_functions_belong_to_the_subsystem_a_reader_expects(name, expected):
    assert group(name) == expected
