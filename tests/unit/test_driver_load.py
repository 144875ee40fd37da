"""Loads: what is refused, and that a seed is a schedule with the rates and lengths it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernleap.guest.build import build_driver, host_arch
from kernleap.model.errors import UsageError
from kernleap.model.kernel import Arch
from kernleap.workload.serving import driver
from kernleap.workload.serving.ceiling import null_server
from kernleap.workload.serving.load import (
    Bursty,
    Closed,
    Constant,
    Fixed,
    Form,
    FromTrace,
    LoadSpec,
    Normal,
    Poisson,
    PromptForm,
    Replay,
    Timeouts,
    TraceEntry,
    Uniform,
)

TRACE = (TraceEntry(0, 5, 7), TraceEntry(10, 6, 8), TraceEntry(10, 7, 9))
GOLDEN = (
    TraceEntry(20804771, 54, 61),
    TraceEntry(33019149, 66, 55),
    TraceEntry(38718015, 45, 86),
    TraceEntry(43631582, 47, 86),
)


def gaps(spec: LoadSpec) -> np.ndarray:
    return np.diff([entry.at_ns for entry in driver.schedule(spec)])


def test_a_seed_is_a_schedule() -> None:
    spec = LoadSpec(Poisson(1000), output=Uniform(1, 100), requests=500, seed=7)
    assert driver.schedule(spec) == driver.schedule(spec)
    assert driver.schedule(spec)[:100] == driver.schedule(replace(spec, requests=100))
    assert driver.schedule(spec) != driver.schedule(replace(spec, seed=8))


def test_a_schedule_stays_what_it_was() -> None:
    """Golden: a change here changes what every recorded seed means."""
    spec = LoadSpec(Poisson(100), Normal(64, 16, 1, 128), Uniform(1, 100), requests=4, seed=42)
    assert driver.schedule(spec) == GOLDEN


def test_poisson_gaps_are_exponential() -> None:
    seen = gaps(LoadSpec(Poisson(1000), requests=20_000, seed=1)) / 1e6
    assert seen.mean() == pytest.approx(1, abs=0.03)
    assert seen.std() == pytest.approx(1, abs=0.04)
    # Kolmogorov-Smirnov: 1.63 / sqrt(n) is its bound at 1 %.
    ordered = np.sort(seen)
    distance = np.abs(1 - np.exp(-ordered) - np.arange(1, seen.size + 1) / seen.size).max()
    assert distance < 1.63 / np.sqrt(seen.size)


def test_constant_gaps_do_not_drift() -> None:
    at = [e.at_ns for e in driver.schedule(LoadSpec(Constant(3), requests=3001))]
    assert at[-1] == pytest.approx(1000e9, abs=2)
    assert set(np.diff(at)) <= {333333333, 333333334}


def test_bursts_have_their_size_and_the_rate_its_mean() -> None:
    at = [e.at_ns for e in driver.schedule(LoadSpec(Bursty(1000, burst=10), requests=20_000))]
    _, sizes = np.unique(at, return_counts=True)
    assert set(sizes) == {10}
    assert at[-1] / 1e9 == pytest.approx(20, rel=0.08)


def test_lengths_follow_their_distributions() -> None:
    spec = LoadSpec(Closed(1), Uniform(10, 19), Normal(100, 20, 60, 140), requests=20_000)
    entries = driver.schedule(spec)
    _, counts = np.unique([e.prompt for e in entries], return_counts=True)
    assert counts.size == 10
    assert counts.min() > 1800
    output = np.array([e.output for e in entries])
    assert (output.min(), output.max()) == (60, 140)
    assert output.mean() == pytest.approx(100, abs=0.6)
    assert np.quantile(output, 0.8413) == pytest.approx(120, abs=1)


def test_a_trace_is_replayed_and_ends() -> None:
    spec = LoadSpec(Replay(), FromTrace(), FromTrace(), requests=99, trace=TRACE)
    assert driver.schedule(spec) == TRACE
    lengths_only = LoadSpec(Closed(1), FromTrace(), Fixed(3), requests=4, trace=TRACE)
    assert [(e.prompt, e.output) for e in driver.schedule(lengths_only)] == [
        (5, 3), (6, 3), (7, 3), (5, 3),
    ]  # fmt: skip


def test_lengths_do_not_depend_on_arrivals() -> None:
    lengths = {
        tuple((e.prompt, e.output) for e in driver.schedule(replace(spec, arrivals=arrivals)))
        for arrivals in (Closed(4), Poisson(10), Bursty(99, burst=3))
        for spec in [LoadSpec(Closed(1), Uniform(1, 99), Uniform(1, 99), requests=50, seed=3)]
    }
    assert len(lengths) == 1


@settings(max_examples=40, deadline=None)
@given(
    arrivals=st.one_of(
        st.builds(Poisson, st.floats(1e-3, 1e6)),
        st.builds(Constant, st.floats(1e-3, 1e6)),
        st.builds(Bursty, st.floats(1e-3, 1e6), burst=st.integers(1, 50)),
    ),
    seed=st.integers(0, 2**64 - 1),
    low=st.integers(1, 1000),
    width=st.integers(0, 1000),
)
def test_every_schedule_is_in_order_and_in_range(
    arrivals: Poisson | Constant | Bursty, seed: int, low: int, width: int
) -> None:
    spec = LoadSpec(
        arrivals, Uniform(low, low + width), Normal(low, width, low, low + width), requests=30,
        seed=seed,
    )  # fmt: skip
    entries = driver.schedule(spec)
    assert len(entries) == 30
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(entries))
    assert all(low <= n <= low + width for e in entries for n in (e.prompt, e.output))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LoadSpec(Closed(1)),
        lambda: LoadSpec(Closed(0), requests=1),
        lambda: LoadSpec(Poisson(0), requests=1),
        lambda: LoadSpec(Poisson(float("nan")), requests=1),
        lambda: LoadSpec(Bursty(5, burst=0), requests=1),
        lambda: LoadSpec(Closed(1), Fixed(0), requests=1),
        lambda: LoadSpec(Closed(1), Uniform(5, 4), requests=1),
        lambda: LoadSpec(Closed(1), requests=1, seed=-1),
        lambda: LoadSpec(Closed(1), requests=1, seed=1 << 64),
        lambda: LoadSpec(Closed(1), duration_s=float("inf")),
        lambda: LoadSpec(Closed(1), requests=1, extra_json='"a":1\nmarkers=1'),
        lambda: LoadSpec(Replay(), requests=1),
        lambda: LoadSpec(Closed(1), requests=1, trace=TRACE),
        lambda: LoadSpec(Replay(), requests=1, trace=TRACE[::-1]),
        lambda: LoadSpec(Closed(1), requests=1, timeouts=Timeouts(stall_s=0)),
        lambda: LoadSpec(Closed(1), requests=1, form=Form.CHAT, prompt_form=PromptForm.IDS),
        lambda: LoadSpec(Closed(1), requests=1, vocabulary=(9, 9)),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError):
        wrong()  # type: ignore[operator]


def test_a_closed_loop_by_time_has_no_schedule() -> None:
    with pytest.raises(UsageError, match="no schedule"):
        driver.schedule(LoadSpec(Closed(1), duration_s=1))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("", "no requests"),
        ("5 1 1\n4 1 1\n", ":2: not"),
        ("5 0 1\n", ":1: not"),
        ("5 1\n", ":1: not"),
        ("5 1 1 1\n", ":1: not"),
        ("-5 1 1\n", ":1: not"),
        ("99999999999999999999 1 1\n", ":1: not"),
    ],
)
def test_a_broken_trace_is_refused(lines: str, complaint: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(lines)
    arguments = ["--schedule", "port=1", "requests=5", "arrival=trace", f"trace={trace}"]
    done = subprocess.run(
        [build_driver(host_arch()), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize("arch", list(Arch))
def test_it_is_static_for_every_architecture(arch: Arch) -> None:
    body = build_driver(arch).read_bytes()
    assert body[:4] == b"\x7fELF"
    assert int.from_bytes(body[18:20], "little") == {Arch.AMD64: 62, Arch.ARM64: 183}[arch]
    start = int.from_bytes(body[32:40], "little")
    size, count = int.from_bytes(body[54:56], "little"), int.from_bytes(body[56:58], "little")
    heads = [body[start + i * size :][:4] for i in range(count)]
    assert 3 not in [int.from_bytes(head, "little") for head in heads]  # no loader


def test_the_selftest_prints_a_ceiling() -> None:
    """Loose, as others use this machine: bench/driver.py has the real bounds."""
    done = subprocess.run(
        [sys.executable, "-m", "kernleap", "driver", "selftest", "--streams", "8", "--seconds",
         "0.5", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    one_by_one, merged = json.loads(done.stdout)["ceilings"]
    assert (one_by_one["streams"], one_by_one["merged"], merged["merged"]) == (8, 1, 16)
    for found in (one_by_one, merged):
        assert found["tokens_per_second"] > 0
        assert found["driver_tokens_per_second"] == pytest.approx(0.8e6 / found["cpu_us_per_event"])
        # What it used is what its events cost it.
        assert found["cpu_ratio"] == pytest.approx(
            found["tokens_per_second"] * found["cpu_us_per_event"] / 1e6
        )


@pytest.mark.parametrize("threads", [1, 3])
def test_every_thread_of_the_null_server_streams(threads: int, tmp_path: Path) -> None:
    with null_server(threads=threads, merge=4) as port:
        spec = LoadSpec(Closed(7), prompt=Fixed(2), output=Fixed(64), requests=70)
        result = driver.run(spec, driver.Target(port), tmp_path)
    assert result.measured == {"ok": 70}
    assert result.connections == 7
