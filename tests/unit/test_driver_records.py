"""Records, histograms and summaries: exact where they must be, safe with hostile input."""

from __future__ import annotations

import copy
import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden_server import golden_server
from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving import driver
from kernleap.workload.serving.histogram import BUCKETS, Histogram, bounds_of, bucket_of
from kernleap.workload.serving.load import Closed, Fixed, LoadSpec
from kernleap.workload.serving.records import EVENT, REQUEST, read_events, read_requests
from kernleap.workload.serving.result import LoadResult, parse_summary

times = st.integers(0, (1 << 45) - 1)


@given(times)
def test_a_bucket_holds_its_value_and_is_narrow(value: int) -> None:
    low, high = bounds_of(bucket_of(value))
    assert low <= value <= high
    assert high - low <= low / 128


def test_buckets_tile_the_line() -> None:
    edge = 0
    for bucket in range(BUCKETS):
        low, high = bounds_of(bucket)
        assert low == edge
        assert bucket_of(low) == bucket_of(high) == bucket
        edge = high + 1
    assert edge == 1 << 45
    assert bucket_of(1 << 60) == BUCKETS - 1


@given(st.lists(times, min_size=1, max_size=200), st.floats(0.001, 1))
def test_a_quantile_is_within_its_bounds(values: list[int], q: float) -> None:
    truth = sorted(values)[max(0, math.ceil(q * len(values) - 1e-9) - 1)]
    found = Histogram.of(values).quantile(q)
    assert found is not None
    assert found.low <= truth <= found.high
    assert abs(found.value - truth) <= 0.004 * truth + 0.5


@given(st.lists(times, max_size=50), st.lists(times, max_size=50))
def test_merging_is_adding(a: list[int], b: list[int]) -> None:
    merged = Histogram.of(a).merged(Histogram.of(b))
    both = Histogram.of(a + b)
    assert merged.buckets == both.buckets
    assert (merged.count, merged.minimum, merged.maximum) == (
        both.count,
        both.minimum,
        both.maximum,
    )


def test_an_empty_histogram() -> None:
    empty = Histogram()
    assert empty.quantile(0.5) is None
    assert empty.mean is None
    with pytest.raises(ValueError, match="not a share"):
        empty.quantile(0)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadResult, Path]:
    directory = tmp_path_factory.mktemp("load")
    spec = LoadSpec(Closed(4), prompt=Fixed(4), requests=20)
    with golden_server(directory) as server:
        target = driver.Target(server.port, path="/normal?n=5&gap_ms=1")
        result = driver.run(spec, target, directory, keep_events=True)
    assert result.measured == {"ok": 20}
    return result, directory


def test_records_and_events_agree(load: tuple[LoadResult, Path]) -> None:
    result, directory = load
    rows, events = read_requests(directory / "requests.bin"), read_events(directory / "events.bin")
    assert rows.cut == events.cut == 0
    assert result.records == rows.rows.size == 20
    assert result.events_kept == events.rows.size == 100
    for row in rows.rows:
        own = events.rows["at"][events.rows["index"] == row["index"]]
        assert own.size == row["events"] == 5
        assert (own[0], own[-1]) == (row["first_token"], row["last_token"])
        assert np.diff(own).max() == row["longest_gap"]
        assert row["bytes_out"] > 100
        assert row["frames"] == 7
    assert rows.rows["bytes_in"].sum() == result.bytes_in


@pytest.mark.parametrize("lost", [1, 15, 16, 100, 151])
def test_a_file_that_was_cut_is_read_to_its_last_whole_record(
    lost: int, load: tuple[LoadResult, Path], tmp_path: Path
) -> None:
    whole = (load[1] / "requests.bin").read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[:-lost])
    found = read_requests(path)
    assert found.rows.size == 19
    assert found.cut == REQUEST.itemsize - lost


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_hostile_records_are_refused_or_read_and_never_crash(
    data: st.DataObject, load: tuple[LoadResult, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    for name, read in (("requests.bin", read_requests), ("events.bin", read_events)):
        body = bytearray((load[1] / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(body) - 1))
            body[at] = data.draw(st.integers(0, 255))
        path.write_bytes(body[: data.draw(st.integers(0, len(body)))])
        try:
            read(path)
        except InfrastructureError as error:
            assert "records" in str(error)


def test_what_is_no_record_file_is_named(tmp_path: Path) -> None:
    header = b"KLREQST\n" + struct.pack("<II", 1, REQUEST.itemsize) + bytes(48)
    for body, complaint in (
        (b"", "begin"),
        (b"x" * 64, "begin"),
        (b"KLREQST\n" + struct.pack("<II", 2, 152) + bytes(48), "version 2"),
        (b"KLREQST\n" + struct.pack("<II", 1, 8) + bytes(48), "8 bytes"),
        (header + b"\xff" * 152, "not known"),
        (header + bytes(152), "before it was due"),
    ):
        path = tmp_path / "file"
        path.write_bytes(body)
        with pytest.raises(InfrastructureError, match="not a file of") as caught:
            read_requests(path)
        assert complaint in str(caught.value)
    with pytest.raises(InfrastructureError, match="cannot be read"):
        read_events(tmp_path / "missing")
    assert EVENT.itemsize == 16


def test_a_summary_that_contradicts_itself_is_refused(load: tuple[LoadResult, Path]) -> None:
    text = (load[1] / "summary.json").read_text()
    good = json.loads(text)
    assert parse_summary(text, "here").histograms == load[0].histograms

    def broken(change: Any) -> str:
        raw = copy.deepcopy(good)
        change(raw)
        return json.dumps(raw)

    ttft = "ttft"
    for change in (
        lambda raw: raw.update(version=2),
        lambda raw: raw.pop("seed"),
        lambda raw: raw.update(seed=-1),
        lambda raw: raw.update(records=True),
        lambda raw: raw.update(window=[5, 4]),
        lambda raw: raw.update(form="<script>"),
        lambda raw: raw["measured"].update(odd=1),
        lambda raw: raw["histograms"].pop(ttft),
        lambda raw: raw["histograms"][ttft].update(count=3),
        lambda raw: raw["histograms"][ttft].update(min=0),
        lambda raw: raw["histograms"][ttft].update(max=10**12),
        lambda raw: raw["histograms"][ttft].update(sum=1e30),
        lambda raw: raw["histograms"][ttft]["buckets"].reverse(),
        lambda raw: raw["histograms"][ttft]["buckets"].append([BUCKETS, 1]),
        lambda raw: raw["histograms"].update(ttft=[]),
    ):
        with pytest.raises(InfrastructureError):
            parse_summary(broken(change), "guest")
    for nonsense in ("", "null", "[]", "[" * 100_000, text[:-10]):
        with pytest.raises(InfrastructureError, match="cannot be read"):
            parse_summary(nonsense, "guest")


def test_a_late_driver_says_so(load: tuple[LoadResult, Path]) -> None:
    assert any("was late" in warning for warning in load[0].warnings(late_ns=0))
    assert not any("was late" in warning for warning in load[0].warnings(late_ns=10**12))


def test_a_driver_that_may_be_the_bottleneck_says_so(load: tuple[LoadResult, Path]) -> None:
    busy = replace(load[0], cpu_ns=int(load[0].window_s * 0.81e9))
    idle = replace(load[0], cpu_ns=int(load[0].window_s * 0.79e9))
    assert any("bottleneck" in warning for warning in busy.warnings())
    assert not any("bottleneck" in warning for warning in idle.warnings())
