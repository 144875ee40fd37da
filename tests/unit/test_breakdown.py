"""Where kernel time goes: perf's text read with suspicion, stacks named, shares and prices."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from test_bound import SECOND, profile, window

from kernleap.judge.breakdown import breakdown_of, share_of_token, spinning_calls
from kernleap.judge.calls import traced_of
from kernleap.judge.kernel_context import context_of
from kernleap.judge.levers import lever_of, levers
from kernleap.judge.probe_price import prices_of
from kernleap.model.cpu_samples import StackSample, StackSamples
from kernleap.model.errors import InfrastructureError
from kernleap.model.serving import ProbedWindows, ThreadUse
from kernleap.probe.bpf import call_name, program, read_maps
from kernleap.probe.perf_script import read_script
from kernleap.stats.mean import mean_of

MAPS = {
    "@calls": {"0": 10, "202": 4, "9999": 1},
    "@call_ns": {"0": 5000, "202": 9000},
    "@waits": 8,
    "@untimed": 2,
    "@wait_ns": 80_000,
    "@softirq_ns": {"3": 700, "1": 100},
    "@ready": {"12": 5},
    "@from": 5,
    "@until": 5 + SECOND,
}
HIST = {
    "@wait": [{"min": 4096, "max": 8191, "count": 6}, {"min": 65536, "max": 131071, "count": 2}]
}


def lines(maps=MAPS, hist=HIST):
    messages = [
        {"type": "attached_probes", "data": {"probes": 6}},
        {"type": "printf", "data": "\n"},
    ]
    messages += [{"type": "map", "data": {name: value}} for name, value in maps.items()]
    messages.append({"type": "hist", "data": hist})
    return ["", *map(json.dumps, messages)]


TEXT = """\
 4037/4038  11615.402266123:    1001001 
\tffffffff81d33df7 read_zero
\tffffffff816b9706 ksys_read.isra.0
\t    7f3a1ce8b8aa std::foo<int>(char const*)
\tffffffff81000130 [unknown]

 4037/4037  11615.403266000:    1001001 

-1/-1   9.000000001: 5
"""  # noqa: W291 - as perf prints it


def test_perf_text_is_read():
    found = read_script(TEXT.splitlines(keepends=True))
    assert found.unread == found.lost == 0
    assert found.samples == [
        StackSample(11615402266123, 4037, 4038, 1001001,
                    ("read_zero", "ksys_read.isra.0", "[unknown]")),
        StackSample(11615403266000, 4037, 4037, 1001001, ()),
        StackSample(9000000001, -1, -1, 5, ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "evil 12/12 1.000000000: 5",  # a name before the header: none was asked for
        "12/12 1.000: 5",  # microseconds: times would be read wrongly
        "12/12 1.000000000: 99999999999999999999",
        "\tffffffff81d33df7 read_zero",  # a frame of nothing
        "[ perf record: Woken up 1 times ]",
        "\x1b[2J",
    ],
)
def test_what_is_of_no_known_form_is_counted_and_is_no_sample(line):
    found = read_script([line])
    assert (found.samples, found.unread) == ([], 1)


def test_losses_are_counted_and_names_do_not_pass_for_frames():
    lines = [
        "1/1 1.000000000: 5",
        "\tffffffff81d33df7 a b/1 2.000000000: 5",
        "0/0 2.0: PERF_RECORD_LOST lost 17",
        "PERF_RECORD_LOST_SAMPLES: lost 3",
    ]
    found = read_script(lines)
    assert found.lost == 20
    assert found.samples == [StackSample(10**9, 1, 1, 5, ("a",))]


CALL = ["do_syscall_64", "entry_SYSCALL_64_after_hwframe"]


@pytest.mark.parametrize(
    ("frames", "context"),
    [
        (["futex_wait", "do_futex", "__x64_sys_futex", *CALL], "call futex"),
        (["vfs_read", "ksys_read", *CALL], "call read"),
        (["tcp_sendmsg", "__sys_sendto", "__x64_sys_sendto", *CALL], "call sendto"),
        (["x", "__arm64_sys_write", "invoke_syscall.constprop.0", "el0_svc_common"], "call write"),
        (["io_x", "__se_sys_io_uring_enter"], "call io_uring_enter"),
        (CALL, "call entry and exit"),
        (["schedule", "syscall_exit_to_user_mode", *CALL], "call entry and exit"),
        (["tcp_v4_rcv", "net_rx_action", "handle_softirqs", "do_softirq.part.0", "__sys_sendto",
          *CALL], "softirq net_rx"),
        (["x", "run_timer_softirq", "__do_softirq", "irq_exit_rcu"], "softirq timer"),
        (["handle_softirqs", "sysvec_apic_timer_interrupt"], "softirq other"),
        (["tick", "sysvec_apic_timer_interrupt", "asm_sysvec_apic_timer_interrupt",
          "tcp_v4_rcv", "net_rx_action", "handle_softirqs"], "interrupt"),
        (["clear_page_erms", "handle_mm_fault", "exc_page_fault", "asm_exc_page_fault",
          "copy_to_user", "vfs_read", "ksys_read", *CALL], "page fault"),
        (["x", "asm_exc_invalid_op"], "exception"),
        (["x", "worker_thread", "kthread", "ret_from_fork"], "kernel thread"),
        (["something"], "other"),
    ],
)  # fmt: skip
def test_contexts(frames, context):
    assert context_of(frames) == context


@pytest.mark.parametrize(
    ("frames", "lever"),
    [
        (["_raw_spin_lock", "tcp_sendmsg_locked", "sock_write_iter", "vfs_write"], "network stack"),
        (["finish_task_switch.isra.0", "__schedule", "futex_wait"], "scheduler and wakeups"),
        (["copy_page", "filemap_read", "vfs_read"], "page cache and files"),
        (["clear_page_erms", "handle_mm_fault"], "memory"),
        (["do_syscall_64"], "system-call entry"),
        (["nothing_known"], "other"),
    ],
)
def test_levers(frames, lever):
    assert lever_of(frames) == lever
    assert lever == "other" or levers()[lever].acts


def stack(at_s: float, pid: int, *frames: str, period: int = 1_000_000) -> StackSample:
    return StackSample(round(at_s * 1e9), pid, pid, period, frames)


def samples(*found: StackSample, **changes) -> StackSamples:
    return replace(StackSamples("cpu-clock", 499, True, found, 0, 0), **changes)


def two_windows():
    # Two windows of a second at 0 s and 10 s, 1000 tokens and 900 ms of CPU time each.
    return [replace(window(), began_ns=at * SECOND) for at in (0, 10)]


def test_shares_add_up_and_times_are_of_the_server():
    read = ("read_zero", "ksys_read", *CALL)
    send = ("tcp_sendmsg", "__x64_sys_sendto", *CALL)
    found = breakdown_of(
        samples(
            stack(0.1, 10, *read), stack(0.2, 10, *read), stack(0.3, 10, *read),
            stack(0.4, 10, *send), stack(0.5, 10), stack(0.6, 10), stack(0.7, 10), stack(0.8, 10),
            stack(10.1, 10, *read), stack(10.2, 10, *send), stack(10.3, 10), stack(10.4, 10),
            stack(5.0, 10, *send),  # between the windows
            stack(0.2, 77, *send), stack(10.3, 77, *send),
            stack(0.2, 3, "x", "net_rx_action", "handle_softirqs"),
            stack(10.2, 3, "x", "net_rx_action", "handle_softirqs"),
            stack(10.2, 3, *read),  # someone else's call: nobody's concern
        ),
        two_windows(), 77,
    )  # fmt: skip
    assert found is not None
    assert found.server is not None
    assert found.kernel_ratio.value == pytest.approx(0.5)
    contexts = {part.name: part for part in found.server.contexts}
    assert contexts["call read"].share.value == pytest.approx((0.75 + 0.5) / 2)
    assert sum(part.share.value for part in found.server.levers) == pytest.approx(1)
    # Half of 900 us a token, of which three quarters and a half.
    assert found.server.us_per_token.value == pytest.approx(450)
    assert contexts["call read"].us_per_token.value == pytest.approx(450 * (0.75 + 0.5) / 2)
    assert [p.us_per_token.value for p in found.server.contexts] == sorted(
        (p.us_per_token.value for p in found.server.contexts), reverse=True
    )
    assert found.client is not None
    assert found.client.samples == 2
    assert found.elsewhere is not None
    assert [part.name for part in found.elsewhere.contexts] == ["softirq net_rx"]
    assert spinning_calls(found, mean_of([0.2, 0.2])) == ()


def test_cycles_give_times_as_well():
    """Whatever the period counts: the server's CPU time is known."""
    inside = [
        stack(at, 10, *frames, period=3_000)
        for at in (0.1, 0.2, 10.1, 10.2)
        for frames in ((), ("read_zero", "ksys_read", *CALL))
    ]
    found = breakdown_of(samples(*inside, event="cycles"), two_windows(), None)
    assert found is not None
    assert found.server is not None
    assert found.server.us_per_token.value == pytest.approx(450)
    assert found.client is None


def test_too_few_samples_say_nothing():
    assert breakdown_of(samples(stack(0.1, 10, "x")), two_windows(), None) is None
    only_user = samples(stack(0.1, 10), stack(10.1, 10))
    found = breakdown_of(only_user, two_windows(), None)
    assert found is not None
    assert found.server is None
    assert found.kernel_ratio.value == 0


def test_a_server_that_yields_is_said_to_spin():
    spin = ("do_sched_yield", "__x64_sys_sched_yield", *CALL)
    found = breakdown_of(
        samples(stack(0.1, 10, *spin), stack(10.1, 10, *spin)), two_windows(), None
    )
    (warning,) = spinning_calls(found, mean_of([0.2, 0.2]))
    assert "100%" in warning and "sched_yield" in warning
    assert "own work is 0.0% of a token's time in place of 20.0%" in warning


def test_a_lever_touches_no_more_of_a_token_than_there_is():
    part = breakdown_of(
        samples(stack(0.1, 10, "tcp_ack"), stack(10.1, 10, "tcp_ack")), two_windows(), None
    ).server.levers[0]
    work = mean_of([0.2, 0.3])
    value, most = share_of_token(part, work)
    assert value == pytest.approx(0.25)
    assert value < most <= 1


def test_the_price_of_a_probe_is_that_beside_plain_windows():
    plain = (window(tokens=1000), window(tokens=2000), window(tokens=500))
    slower = tuple(replace(w, tokens=w.tokens * 0.9) for w in plain)
    (price,) = prices_of(profile(*plain, probed=(ProbedWindows("perf", slower),)))
    assert price.probe == "perf"
    assert price.rate.value == pytest.approx(-0.1)
    assert price.cpu.value == pytest.approx(1 / 0.9 - 1)


def test_traced_sums_are_per_token():
    use = read_maps(lines())
    assert {c.calls for c in use.calls} == {10, 4, 1}
    assert [c.cpu_ns for c in use.calls] == [9000, 5000, 0]
    assert use.softirq_ns == {"net_rx": 700, "timer": 100}
    found = traced_of([use, use], [window(tokens=10), window(tokens=10)])
    assert found is not None
    assert found.calls[0].calls == pytest.approx(0.4)
    assert found.cpu_us == pytest.approx(1.4)
    assert found.untimed == 4
    assert found.waits == pytest.approx(0.8)
    assert (found.wait_p50_us, found.wait_p99_us) == (8.192, 131.072)
    assert found.softirq_us == pytest.approx({"net_rx": 0.07, "timer": 0.01})
    assert traced_of([], []) is None


@pytest.mark.parametrize(
    "broken",
    [
        ["{"],
        lines({name: value for name, value in MAPS.items() if name != "@until"}),
        [json.dumps({"type": "map", "data": {"@calls": {"x": 1}}})],
        [json.dumps({"type": "map", "data": {"@calls": [1]}})],
        [json.dumps({"type": "hist", "data": {"@wait": [{}]}})],
    ],
)
def test_broken_counts_are_refused(broken):
    with pytest.raises(InfrastructureError):
        read_maps(broken)


def test_names_of_calls():
    assert [call_name(n, "x86_64") for n in (0, 1, 202, 281, 334)] == [
        "read", "write", "futex", "epoll_pwait", "rseq"]  # fmt: skip
    assert [call_name(n, "aarch64") for n in (63, 64, 98, 22, 206)] == [
        "read", "write", "futex", "epoll_pwait", "sendto"]  # fmt: skip
    assert call_name(99999, "x86_64") == call_name(99999, "vax") == "#99999"


def test_a_program_watches_what_it_was_told_to():
    text = program([5, 6], [7], 8)
    assert "@watched[5] = 1; @watched[6] = 1; @mine[7] = 1;" in text
    assert "pid == 8" in text
    assert "{{" not in text


def test_threads_of_all_windows_are_the_servers():
    other = ThreadUse(11, 11, "worker", 1000, 0, 0)
    windows = [two_windows()[0], replace(window(other), began_ns=10 * SECOND)]
    found = breakdown_of(
        samples(*(stack(at, pid, "tcp_ack") for at in (0.1, 10.1) for pid in (10, 11))),
        windows,
        None,
    )
    assert found is not None
    assert found.server is not None
    assert found.server.samples == 4
    assert all(a <= b for a, b in pairwise([0.0, found.server.us_per_token.value]))
