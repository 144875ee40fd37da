"""Files of results are written by strangers: whatever is wrong is a usage error with the place."""

from __future__ import annotations

import json

import pytest

from imported_files import ALL, FILES, SINGLE, at, changed, document
from kernleap.imported import document as reading
from kernleap.imported.files import read_results
from kernleap.imported.results import read_result
from kernleap.model.errors import UsageError

PLACES = {
    "guidellm-0.8.1-1.json": (
        "benchmarks", 0, "metrics", "time_to_first_token_ms", "successful", "percentiles", "p99",
    ),
    "guidellm-0.3.1.json": (
        "benchmarks", 0, "metrics", "request_latency", "successful", "percentiles", "p50",
    ),
    "aiperf-0.13.0.json": ("time_to_first_token", "p99"),
    "vllm-bench-0.32.0.json": ("p99_itl_ms",),
}  # fmt: skip


def refused(path):
    with pytest.raises(UsageError) as caught:
        read_result(path)
    assert str(path) in str(caught.value.where)
    return caught.value


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("NaN", "NaN is no JSON number"),
        ("Infinity", "Infinity is no JSON number"),
        ("1e999", "cannot be"),
        ("-1.5", "cannot be"),
        ("1e300", "cannot be"),
        ('"12.5"', "a number was expected, not a string"),
        ("true", "a number was expected, not true or false"),
        ("[1]", "a number was expected, not an array"),
        ("{}", "a number was expected, not an object"),
        ("9" * 5000, ""),
    ],
)
def test_a_figure_that_is_none(tmp_path, name, bad, complaint):
    mark = "@@"

    def put(data):
        at(data, *PLACES[name][:-1])[PLACES[name][-1]] = mark

    path = changed(tmp_path, name, "bad.json", put)
    path.write_text(path.read_text().replace(f'"{mark}"', bad))
    error = refused(path)
    assert complaint in error.what
    if "JSON" not in error.what:
        assert str(PLACES[name][-1]) in error.where
        assert name.split("-")[0] in error.cause


@pytest.mark.parametrize("name", PLACES)
def test_a_key_that_is_missing_is_named_with_tool_and_version(tmp_path, name):
    if name.startswith("vllm"):
        path = changed(tmp_path, name, "missing.json", lambda data: data.pop("output_throughput"))
        error = refused(path)
        assert error.where.endswith("key output_throughput")
        assert "vllm bench serve" in error.cause
        return

    def drop(data):
        at(data, *PLACES[name][:-1]).pop(PLACES[name][-1])

    error = refused(changed(tmp_path, name, "missing.json", drop))
    assert error.what == "this key is missing"
    assert str(PLACES[name][-1]) in error.where
    assert {"guidellm-0.8.1-1.json": "guidellm 0.8.1", "guidellm-0.3.1.json": "0.2 to 0.3",
            "aiperf-0.13.0.json": "aiperf 0.13.0"}[name] in error.cause  # fmt: skip


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not the JSON"),
        (b"\xff\xfe\x00binary", "not the JSON"),
        (b"benchmarks:\n  - metrics: {}\n", "not the JSON"),
        (b"[1, 2]", "an object was expected, not an array"),
        (b"{}", "no load generator known"),
        (b'{"benchmarks": []}', "0 benchmarks"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "deep"),
        (b"[" * 200_000, "not the JSON"),
        (b'{"model_id": "\\u0000\\u001b[31m", "num_prompts": {}, "completed": 1}', "missing"),
    ],
)
def test_files_of_no_tool(tmp_path, content, complaint):
    path = tmp_path / "any.json"
    path.write_bytes(content)
    assert complaint in refused(path).what


def test_a_line_for_each_run_says_what_to_leave_out(tmp_path):
    path = tmp_path / "appended.json"
    line = json.dumps(document("vllm-bench-0.32.0.json"))
    path.write_text(f"{line}\n{line}\n")
    assert "--append-result" in refused(path).next_step


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    assert "more than" in refused(FILES / "guidellm-0.3.1.json").what


def test_a_sweep_without_end_is_refused(tmp_path):
    path = changed(
        tmp_path, "guidellm-0.8.1-1.json", "many.json",
        lambda data: data.update(benchmarks=data["benchmarks"] * 65),
    )  # fmt: skip
    assert "65 benchmarks" in refused(path).what


def test_a_unit_that_changed_is_refused(tmp_path):
    for key, unit in [("request_latency", "fortnights"), ("output_token_throughput", "tokens/min")]:
        path = changed(
            tmp_path, "aiperf-0.13.0.json", "unit.json",
            lambda data, key=key, unit=unit: data[key].update(unit=unit),
        )  # fmt: skip
        error = refused(path)
        assert unit in error.what
        assert error.where.endswith(f"key {key}.unit")


def test_an_empty_directory_has_no_results(tmp_path):
    with pytest.raises(UsageError, match="no results"):
        read_results([tmp_path])


@pytest.mark.parametrize("name", [n for n in SINGLE if not n.startswith("guidellm")])
def test_a_time_that_is_none(tmp_path, name):
    key = "date" if name.startswith("vllm") else "start_time"
    path = changed(tmp_path, name, "time.json", lambda data: data.update({key: "yesterday"}))
    assert refused(path).where.endswith(f"key {key}")


def test_real_files_are_read():
    assert len([read_result(FILES / name) for name in ALL]) == len(ALL)
