"""The bound's arithmetic and warnings, from windows whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from kernleap.judge.bound import bound_of, window_parts
from kernleap.model.serving import Accounting, ServingProfile, ServingWindow, ThreadUse
from kernleap.probe.accounting import accounting_of, machine_of
from kernleap.stats.mean import mean_of

SECOND = 10**9
MAIN = ThreadUse(10, 10, "server", 900_000_000, 200_000_000, 50_000_000)


def window(*threads: ThreadUse, tokens: float = 1000.0, **changes) -> ServingWindow:
    threads = threads or (MAIN,)
    plain = ServingWindow(
        began_ns=0,
        elapsed_ns=SECOND,
        asked_ns=SECOND,
        tokens=tokens,
        cpu_ns=sum(t.run_ns for t in threads),
        kernel_ns=sum(t.kernel_ns for t in threads),
        ticks=225.0,
        wait_ns=sum(t.wait_ns for t in threads),
        voluntary=2000,
        involuntary=100,
        softirq_ns=10_000_000,
        interrupt_ns=0,
        busy_ns=sum(t.run_ns for t in threads) + 50_000_000,
        steal_ns=0,
        ended_threads=0,
        threads=threads,
    )
    return replace(plain, **changes)


def profile(*windows: ServingWindow, **changes) -> ServingProfile:
    plain = ServingProfile(
        engine="llama.cpp",
        streams=4,
        open_loop=False,
        cpus=2,
        nice=0,
        accounting=Accounting(False, 250, False),
        idle_cpu_ratio=0.0,
        driver_cpu_ratio=0.05,
        driver_warnings=(),
        failed_requests=0,
        requests=10,
        client={},
        client_pid=None,
        windows=windows or (window(),) * 5,
    )
    return replace(plain, **changes)


def test_one_thread_is_the_path():
    found = bound_of(profile())
    assert {part.name: part.share.value for part in found.parts} == pytest.approx(
        {"system": 0.20, "waiting": 0.05, "softirq": 0.01}
    )
    assert found.share.value == pytest.approx(0.26)
    assert found.share.low == pytest.approx(found.share.high)
    assert found.work.value == pytest.approx(0.21)
    assert found.settled
    assert found.warnings == ()
    assert "more than 26 %" in found.sentence and "1.35 times" in found.sentence
    assert found.per_token["kernel_us"].value == pytest.approx(200)
    assert found.per_token["user_us"].value == pytest.approx(700)
    assert found.per_token["wakeups"].value == pytest.approx(2)


def sender(tid: int, kernel_ms: float, wait_ms: float = 0.0, name: str = "server") -> ThreadUse:
    return ThreadUse(10, tid, name, round(kernel_ms * 2e6), round(kernel_ms * 1e6),
                     round(wait_ms * 1e6))  # fmt: skip


@pytest.mark.parametrize(
    ("threads", "streams", "system"),
    [
        ([sender(i, 40) for i in range(4)], 4, 0.24),  # one each: 160 ms / 4 streams
        ([sender(i, 40) for i in range(4)], 1, 0.36),  # one stream goes through all of them
        ([sender(1, 100), sender(2, 1)], 4, 0.30),  # at least the busiest
        ([sender(1, 40, name="send-1"), sender(2, 40, name="send-2")], 4, 0.24),  # one pool
        ([sender(1, 40, name="IO/0"), sender(2, 40, name="send-2")], 4, 0.28),  # two jobs
        ([ThreadUse(11, 1, "other", 100_000_000, 70_000_000, 0)], 4, 0.27),  # another process
    ],
)
def test_stages_are_added_and_pools_are_shared(threads, streams, system):
    parts = window_parts(window(MAIN, *threads), streams)
    assert parts["system"] == pytest.approx(system)


def test_never_more_than_all_of_it():
    busy = window(replace(MAIN, wait_ns=950_000_000))
    found = bound_of(profile(*(busy,) * 3))
    assert found.share.value == found.most == 1
    assert "bounds nothing" in found.sentence


def test_the_interval_is_students():
    values = [0.2, 0.25, 0.21, 0.3]
    found = mean_of(values)
    low, high = student.interval(
        0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / np.sqrt(4)
    )
    assert (found.low, found.high) == pytest.approx((low, high))
    with pytest.raises(ValueError):
        mean_of([1.0])


def test_too_noisy_to_say():
    found = bound_of(profile(*(window(tokens=n) for n in (500, 1000, 1500, 700))))
    assert not found.settled
    assert found.sentence.startswith("too noisy to say")
    assert any("tokens/s vary" in warning for warning in found.warnings)
    wide = [window(replace(MAIN, kernel_ns=k * 10**6)) for k in (50, 400, 100, 300)]
    found = bound_of(profile(*wide))
    assert not found.settled
    assert any("too wide" in warning for warning in found.warnings)


def test_sampling_error_is_the_binomials():
    found = bound_of(profile())
    p = 200 / 900
    assert found.kernel_ratio_error == pytest.approx(1.96 * np.sqrt(p * (1 - p) / 225))
    assert bound_of(profile(accounting=Accounting(True, 250, True))).kernel_ratio_error == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "vllm"}, "vllm spins"),
        ({"idle_cpu_ratio": 0.9}, "nothing asked of it"),
        ({"windows": (window(involuntary=400_000),) * 3}, "sched_yield"),
        ({"windows": (window(busy_ns=2 * SECOND),) * 3}, "other programs used 1.05 CPUs"),
        ({"windows": (window(steal_ns=SECOND // 10),) * 3}, "hypervisor"),
        ({"windows": (window(wait_ns=None),) * 3}, "CONFIG_SCHED_INFO"),
        ({"windows": (window(ended_threads=2),) * 3}, "6 threads ended"),
        ({"nice": 19}, "nice 19"),
        ({"driver_warnings": ("the driver was late",)}, "load: the driver was late"),
        ({"driver_cpu_ratio": 0.95}, "95%"),
        ({"failed_requests": 3}, "3 of 10 requests failed"),
    ],
)
def test_warnings(changes, words):
    (warning,) = bound_of(profile(**changes)).warnings
    assert words in warning


@pytest.mark.parametrize(
    ("config", "dynticks", "expected"),
    [
        ("CONFIG_TICK_CPU_ACCOUNTING=y\nCONFIG_HZ=250\n", False, Accounting(False, 250, False)),
        (
            "CONFIG_VIRT_CPU_ACCOUNTING_GEN=y\nCONFIG_HZ=1000\nCONFIG_IRQ_TIME_ACCOUNTING=y\n",
            False,
            Accounting(False, 1000, True),
        ),
        ("CONFIG_VIRT_CPU_ACCOUNTING_GEN=y\nCONFIG_HZ=1000\n", True, Accounting(True, 1000, True)),
        ("CONFIG_VIRT_CPU_ACCOUNTING_NATIVE=y\n", False, Accounting(True, 100, True)),
        ("", False, Accounting(False, 100, None)),
    ],
)
def test_how_a_kernel_accounts(config, dynticks, expected):
    assert accounting_of(config, dynticks) == expected


def test_proc_stat():
    text = "cpu  100 20 30 4000 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
    found = machine_of(text)
    tick = 10_000_000
    assert found.busy_ns == (100 + 20 + 30 + 6 + 7) * tick
    assert (found.interrupt_ns, found.softirq_ns, found.steal_ns) == (6 * tick, 7 * tick, 8 * tick)
