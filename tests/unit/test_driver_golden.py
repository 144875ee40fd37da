"""The driver's latencies against a server that recorded when it sent what.

Bounds, with both on one machine and one clock: no token is seen before it was sent; half of them
are seen within 2 ms, nine of ten within 20 ms (of a machine that others use too). What is a
difference of two such times is wrong by no more than that.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden_server import golden_server
from kernleap.guest.build import build_driver, host_arch
from kernleap.model.kernel import Arch
from kernleap.workload.serving import driver
from kernleap.workload.serving.client import Slo, client_metrics, client_values
from kernleap.workload.serving.driver import Target
from kernleap.workload.serving.histogram import Histogram, bucket_of
from kernleap.workload.serving.load import (
    Closed,
    Constant,
    Fixed,
    Form,
    LoadSpec,
    Poisson,
    PromptForm,
)
from kernleap.workload.serving.records import Flag, read_events, read_requests
from kernleap.workload.serving.result import parse_summary

HALF_NS, MOST_NS = 2e6, 20e6
SPEC = LoadSpec(Closed(1), prompt=Fixed(4), output=Fixed(8), requests=12)


def assert_bounded(errors: Any) -> None:
    errors = np.asarray(errors, dtype=float)
    assert errors.size
    assert (errors >= 0).all()
    assert np.quantile(errors, 0.5) <= HALF_NS
    assert np.quantile(errors, 0.9) <= MOST_NS


@pytest.mark.parametrize("behaviour", ["normal", "slow-first", "stall", "split", "until-close"])
def test_every_latency_is_within_its_bounds(behaviour: str, tmp_path: Path) -> None:
    with golden_server(tmp_path) as server:
        target = Target(server.port, path=f"/{behaviour}?stall_ms=100&gap_ms=3")
        result = driver.run(SPEC, target, tmp_path, keep_events=True)
        truth = server.records(12)
    assert result.measured == {"ok": 12}
    rows, events = (read(tmp_path / name).rows for read, name in READ)
    # One request at a time: both saw them in the same order.
    first, last = ([t["tokens"][i] for t in truth] for i in (0, -1))
    end = [t["end"] for t in truth]
    assert_bounded(rows["first_token"] - np.array(first, dtype="u8"))  # TTFT, with `scheduled`
    assert_bounded(rows["last_token"] - np.array(last, dtype="u8"))
    assert_bounded(rows["end"] - np.array(end, dtype="u8"))  # end to end
    sent_tokens = [at for t in truth for at in t["tokens"]]
    assert_bounded(events["at"] - np.array(sent_tokens, dtype="u8"))  # ITL, TPOT
    assert_bounded(np.array([t["received"] for t in truth], dtype="u8") - rows["started"])
    assert (rows["events"] == 8).all()
    assert (rows["usage_completion"] == 8).all()
    assert (rows["usage_prompt"] == 3).all()

    # Each latency as the client would compute it from the true times, and how far off ours is.
    times = {
        name: rows[name].astype("i8") for name in ("scheduled", "first_token", "last_token", "end")
    }
    first, last, end = (np.array(t, dtype="i8") for t in (first, last, end))
    delay = {"first": times["first_token"] - first, "last": times["last_token"] - last}
    assert_bounded((times["first_token"] - times["scheduled"]) - (first - times["scheduled"]))
    assert_bounded((times["end"] - times["scheduled"]) - (end - times["scheduled"]))
    off = (times["last_token"] - times["first_token"]) / 7 - (last - first) / 7
    assert (np.abs(off) <= np.maximum(delay["first"], delay["last"]) / 7).all()
    for row, t in zip(rows, truth, strict=True):
        seen = events["at"][events["index"] == row["index"]].astype("i8")
        late = seen - np.array(t["tokens"], dtype="i8")
        gap_off = np.diff(seen) - np.diff(t["tokens"])
        assert (gap_off <= late[1:]).all()
        assert (gap_off >= -late[:-1]).all()

    # What the histograms say is what the records say, within their own bound.
    gaps = [
        int(b - a)
        for i in set(events["index"])
        for a, b in pairwise(events["at"][events["index"] == i])
    ]
    tpot = (rows["last_token"] - rows["first_token"]) // 7
    for name, values in {
        "itl": gaps,
        "ttft": (rows["first_token"] - rows["scheduled"]).tolist(),
        "e2e": (rows["end"] - rows["scheduled"]).tolist(),
        "tpot": tpot.tolist(),
        "schedule_delay": (rows["started"] - rows["scheduled"]).tolist(),
    }.items():
        assert result.histograms[name] == Histogram.of(values)


READ = ((read_requests, "requests.bin"), (read_events, "events.bin"))


def test_events_of_one_write_have_one_time(tmp_path: Path) -> None:
    with golden_server(tmp_path) as server:
        target = Target(server.port, path="/merged")
        result = driver.run(SPEC, target, tmp_path, keep_events=True)
        truth = server.records(12)
    assert result.measured == {"ok": 12}
    rows, events = (read(tmp_path / name).rows for read, name in READ)
    assert (rows["first_token"] == rows["last_token"]).all()
    assert events["merged"].tolist() == list(range(8)) * 12
    assert_bounded(rows["first_token"] - np.array([t["end"] for t in truth], dtype="u8"))
    assert result.histograms["itl"].maximum == 0


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "closed"])
def test_many_streams(keep_alive: bool, tmp_path: Path) -> None:
    spec = replace(
        SPEC, arrivals=Closed(16), requests=64, keep_alive=keep_alive, warmup_requests=16
    )
    with golden_server(tmp_path) as server:
        result = driver.run(
            spec, Target(server.port, path="/normal?gap_ms=20"), tmp_path, keep_events=True
        )
        truth = server.records(80)
    assert result.measured == {"ok": 64}
    assert result.warmup == {"ok": 16}
    assert result.connections == (16 if keep_alive else 80)
    rows, events = (read(tmp_path / name).rows for read, name in READ)
    # Order statistics: the k-th arrival cannot be before the k-th departure.
    sent_at = np.sort([at for t in truth for at in t["tokens"]]).astype("u8")
    assert_bounded(events["at"] - sent_at)
    warm = (rows["flags"] & Flag.WARMUP) != 0
    assert warm.sum() == 16
    assert result.histograms["ttft"].count == 64
    assert set(rows["index"][warm]) == set(range(16))
    # The window is that of the measured requests, and only its tokens are in the rates.
    inside = (events["at"] >= result.window[0]) & (events["at"] < result.window[1])
    assert inside.sum() == result.tokens_in_window == rows["events_in_window"].sum()
    assert result.window[0] == rows["scheduled"][~warm].min()
    assert result.window[1] >= rows["end"].max()
    values = client_values(result)
    assert values["tokens_per_second"] == pytest.approx(
        result.tokens_in_window / result.window_s, rel=1e-9
    )


def test_a_stall_is_charged_to_every_request_it_kept_waiting(tmp_path: Path) -> None:
    """Coordinated omission: a server that stops for 1 s, at 100 requests a second."""
    open_loop = replace(SPEC, arrivals=Constant(100), requests=250)
    with golden_server(tmp_path, one_at_a_time=True, freeze=(0.5, 1.0)) as server:
        target = Target(server.port, path="/reply-at-once?n=2")
        result = driver.run(open_loop, target, tmp_path)
        (frozen,) = [t["frozen"] for t in server.records(250) if "frozen" in t]
    assert result.measured == {"ok": 250}
    rows = read_requests(tmp_path / "requests.bin").rows
    caught = rows[(rows["scheduled"] > frozen[0]) & (rows["scheduled"] < frozen[1])]
    assert 95 <= caught.size <= 101
    must_wait = frozen[1] - caught["scheduled"].astype(float)
    took = caught["end"].astype(float) - caught["scheduled"]
    assert (took >= must_wait).all()
    slow = result.histograms["e2e"]
    assert sum(n for b, n in slow.buckets.items() if b >= bucket_of(500_000_000)) >= 45
    assert slow.quantile(0.8).value > 0.4e9  # type: ignore[union-attr]
    # The driver itself was in time: it is the server that is slow, not the schedule.
    assert result.histograms["schedule_delay"].quantile(0.9).value < 20e6  # type: ignore[union-attr]
    # The classic mistake: counted from a send that waits for the last answer, one request in 250
    # is slow, and no quantile of interest shows it.
    closed = replace(SPEC, arrivals=Closed(1), requests=250)
    with golden_server(tmp_path, one_at_a_time=True, freeze=(0.1, 1.0)) as server:
        target = Target(server.port, path="/reply-at-once?n=2&gap_ms=1")
        result = driver.run(closed, target, tmp_path)
    assert result.histograms["e2e"].quantile(0.8).value < 0.1e9  # type: ignore[union-attr]


def test_requests_that_must_wait_for_a_stream_are_flagged_and_still_on_the_clock(
    tmp_path: Path,
) -> None:
    spec = replace(SPEC, arrivals=Constant(100, max_streams=2), requests=20)
    with golden_server(tmp_path) as server:
        target = Target(server.port, path="/normal?n=4&gap_ms=20")
        result = driver.run(spec, target, tmp_path)
    rows = read_requests(tmp_path / "requests.bin").rows
    queued = (rows["flags"] & Flag.QUEUED) != 0
    assert result.queued == queued.sum() >= 15
    assert ((rows["started"] - rows["scheduled"])[queued] > 0).all()
    # Two streams of 80 ms each: 25 a second are served, 100 are due.
    assert result.histograms["e2e"].maximum > 400e6
    assert any("max_streams" in warning for warning in result.warnings())


def test_a_driver_that_was_stopped_says_that_it_was_late(tmp_path: Path) -> None:
    """What the driver sleeps is in the latencies, which count from the schedule, and is told."""
    with golden_server(tmp_path) as server:
        process = subprocess.Popen(
            [
                build_driver(host_arch()), f"port={server.port}", "path=/reply-at-once?n=2",
                "arrival=constant", "rate=100", "requests=100",
            ],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.4)
        process.send_signal(signal.SIGCONT)
        result = parse_summary(process.communicate(timeout=20)[0], "stdout")
    assert result.measured == {"ok": 100}
    delay, e2e = result.histograms["schedule_delay"], result.histograms["e2e"]
    assert delay.maximum > 250e6
    assert e2e.maximum > delay.maximum
    assert any("was late" in warning for warning in result.warnings())


def test_markers_are_in_the_program_and_do_nothing_here(tmp_path: Path) -> None:
    if host_arch() is not Arch.AMD64:
        pytest.skip("markers are x86-64's")
    program = build_driver(Arch.AMD64).read_bytes()
    for op in (2, 3, 4):  # BEGIN, MARK, END: nopl 0x4b4c0000+op(%rax)
        assert program.count(b"\x0f\x1f\x80" + (0x4B4C0000 | op).to_bytes(4, "little")) == 1
    with golden_server(tmp_path) as server:
        done = subprocess.run(
            [
                build_driver(Arch.AMD64), f"port={server.port}", "path=/reply-at-once",
                "requests=3", "markers=1",
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert parse_summary(done.stdout, "stdout").tokens_in_window == 24


def test_the_window_of_a_load_by_time(tmp_path: Path) -> None:
    spec = LoadSpec(
        Poisson(50), prompt=Fixed(4), output=Fixed(4), duration_s=1.0, warmup_s=0.4, seed=5
    )
    with golden_server(tmp_path) as server:
        result = driver.run(spec, Target(server.port, path="/normal?n=4&gap_ms=1"), tmp_path)
    assert result.window_s == pytest.approx(1.0, abs=1e-9)
    plan = driver.schedule(replace(spec, duration_s=2.0))
    rows = np.sort(read_requests(tmp_path / "requests.bin").rows, order="index")
    zero = int(rows["scheduled"][0]) - plan[0].at_ns
    assert (rows["scheduled"] - zero).tolist() == [e.at_ns for e in plan[: rows.size]]
    warm = [e for e in plan if e.at_ns < 0.4e9]
    assert sum(result.warmup.values()) == len(warm)
    first = plan[len(warm)].at_ns
    due = [e for e in plan if first <= e.at_ns < first + 1e9]
    assert sum(result.measured.values()) == len(due)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("prompt_form", list(PromptForm))
def test_what_is_sent(form: Form, prompt_form: PromptForm, tmp_path: Path) -> None:
    if prompt_form is PromptForm.IDS and form in (Form.CHAT, Form.TGI):
        pytest.skip("this form takes no token ids")
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    spec = replace(
        SPEC, form=form, prompt_form=prompt_form, prompt=Fixed(9), output=Fixed(7), requests=3,
        shared_prefix=4, extra_json='"ignore_eos":true',
    )  # fmt: skip
    with golden_server(tmp_path) as server:
        target = Target(
            server.port, path="/reply-at-once", model="m", headers=("X-One: 1",), bearer_file=secret
        )
        assert driver.run(spec, target, tmp_path).measured == {"ok": 3}
        truth = server.records(3)
    prompts = []
    for record in truth:
        assert "\r\nX-One: 1" in record["head"]
        assert "\r\nAuthorization: Bearer s3cret" in record["head"]
        body = json.loads(record["body"])
        if form is Form.TGI:
            prompts.append(body["inputs"])
            assert body["parameters"]["max_new_tokens"] == 7
            assert body["parameters"]["ignore_eos"] is True
            continue
        assert body["stream"] is True
        assert body["ignore_eos"] is True
        assert body["n_predict" if form is Form.LLAMA else "max_tokens"] == 7
        if form is not Form.LLAMA:
            assert body["model"] == "m"
            assert body["stream_options"] == {"include_usage": True}
        prompts.append(body["messages"][0]["content"] if form is Form.CHAT else body["prompt"])
    split = [p.split() if prompt_form is PromptForm.WORDS else list(p) for p in prompts]
    assert {len(p) for p in split} == {9}
    assert split[0][:4] == split[1][:4] == split[2][:4]
    assert len({str(p) for p in split}) == 3


def test_values_and_metrics_have_the_same_names(tmp_path: Path) -> None:
    with golden_server(tmp_path) as server:
        result = driver.run(SPEC, Target(server.port, path="/normal?gap_ms=2"), tmp_path)
    values = client_values(result, Slo(ttft_ms=1000, e2e_ms=1000, tpot_ms=1000))
    declared = {m.quantity for m in client_metrics("serving/closed", guest_time=False)}
    assert set(values) == declared
    assert values["goodput"] == pytest.approx(values["requests_per_second"])
    assert client_values(result, Slo(ttft_ms=1e-6))["goodput"] == 0
    assert values["error_ratio"] == 0
    behaviour = client_metrics("serving/closed", guest_time=True)
    assert {(m.better.value, m.role.value) for m in behaviour} == {("neither", "behaviour")}
