"""Files of guidellm, aiperf and vllm bench serve: every figure where it belongs, in its unit."""

from __future__ import annotations

import pytest

from imported_files import ALL, FILES, at, changed, document
from kernleap.imported.files import read_results
from kernleap.imported.quantities import QUANTITIES
from kernleap.imported.results import FORMATS


def read(name):
    (result,) = read_results([FILES / name])
    return result


@pytest.mark.parametrize(
    ("name", "tool", "version"),
    [
        ("guidellm-0.3.1.json", "guidellm", "0.2 to 0.3"),
        ("guidellm-0.5.3-two-rates.json", "guidellm", "0.5.3"),
        ("guidellm-0.8.1-1.json", "guidellm", "0.8.1"),
        ("aiperf-0.2.0.json", "aiperf", "unknown (its file does not say)"),
        ("aiperf-0.13.0.json", "aiperf", "0.13.0"),
        ("vllm-bench-0.32.0.json", "vllm-bench", "unknown (its files do not say)"),
    ],
)
def test_the_tool_and_its_version_are_recognised(name, tool, version):
    result = read(name)
    assert (result.tool, result.version) == (tool, version)
    assert 1.7e9 < result.started < 1.9e9


@pytest.mark.parametrize("name", ["guidellm-0.3.1.json", "guidellm-0.8.1-1.json"])
def test_what_guidellm_calls_inter_token_latency_is_a_mean_of_each_request(name):
    values = read(name).loads[0].values
    metrics = at(document(name), "benchmarks", 0, "metrics")
    for key, base, factor in [
        ("time_to_first_token_ms", "ttft", 1),
        ("inter_token_latency_ms", "tpot", 1),
        ("request_latency", "e2e", 1000),
    ]:
        for q in (50, 90, 99):
            expected = at(metrics, key, "successful", "percentiles", f"p{q}") * factor
            assert values[f"{base}_p{q}"] == pytest.approx(expected, rel=1e-12)
    assert not any(name.startswith("itl") for name in values)
    # Latencies in seconds became milliseconds: a request lasts longer than its first token.
    assert values["e2e_p50"] > values["ttft_p50"] + 20 * values["tpot_p50"]
    tokens = at(metrics, "output_tokens_per_second", "successful", "mean")
    assert values["tokens_per_second"] == tokens
    assert (values["requests"], values["errors"], values["error_ratio"]) == (48, 0, 0)
    assert values["output_tokens"] == pytest.approx(32)


def test_the_meaning_that_guidellm_changed_is_read_only_where_it_is_known():
    # In 0.3 it is (last - first token) / tokens, which is no quantity of ours.
    assert "token_time_p50" not in read("guidellm-0.3.1.json").loads[0].values
    late = read("guidellm-0.8.1-1.json").loads[0].values
    assert late["token_time_p50"] > late["tpot_p50"]


def test_a_sweep_of_guidellm_holds_several_loads():
    result = read("guidellm-0.5.3-two-rates.json")
    assert [load.settings["streams"] for load in result.loads] == ["2", "4"]
    first, second = (load.values["tokens_per_second"] for load in result.loads)
    assert first < second


@pytest.mark.parametrize("name", ["aiperf-0.2.0.json", "aiperf-0.13.0.json"])
def test_aiperf_has_both_gaps_and_means_of_requests(name):
    raw, values = document(name), read(name).loads[0].values
    for key, base in [
        ("time_to_first_token", "ttft"),
        ("inter_chunk_latency", "itl"),
        ("inter_token_latency", "tpot"),
        ("request_latency", "e2e"),
    ]:
        if key in raw:  # releases differ in which they write
            assert [values[f"{base}_p{q}"] for q in (50, 90, 99)] == [
                raw[key][f"p{q}"] for q in (50, 90, 99)
            ]
    assert {"ttft_p99", "tpot_p50", "e2e_p50"} <= values.keys()
    assert values["requests"] == 48
    assert values["tokens_per_second"] == raw["output_token_throughput"]["avg"]


def test_aiperf_in_other_units_gives_milliseconds(tmp_path):
    def in_seconds(data):
        for key, value in data["request_latency"].items():
            if isinstance(value, float):
                data["request_latency"][key] = value / 1000
        data["request_latency"]["unit"] = "sec"

    path = changed(tmp_path, "aiperf-0.13.0.json", "s.json", in_seconds)
    values = read_results([path])[0].loads[0].values
    assert values["e2e_p50"] == pytest.approx(
        document("aiperf-0.13.0.json")["request_latency"]["p50"]
    )


def test_vllm_writes_gaps_and_means_of_requests():
    raw, values = document("vllm-bench-0.32.0.json"), read("vllm-bench-0.32.0.json").loads[0].values
    for key, base in [("ttft", "ttft"), ("itl", "itl"), ("tpot", "tpot"), ("e2el", "e2e")]:
        assert values[f"{base}_p50"] == raw[f"median_{key}_ms"]
        assert values[f"{base}_p99"] == raw[f"p99_{key}_ms"]
    assert values["output_tokens"] == raw["total_output_tokens"] / raw["completed"]
    assert values["goodput"] == raw["request_goodput"]


def test_failures_of_vllm_before_it_counted_them(tmp_path):
    def early(data):
        del data["failed"]
        data["num_prompts"], data["completed"] = 50, 40

    path = changed(tmp_path, "vllm-bench-0.32.0.json", "early.json", early)
    values = read_results([path])[0].loads[0].values
    assert (values["errors"], values["error_ratio"]) == (10, 0.2)


@pytest.mark.parametrize(
    ("source", "nothing_ended_well"),
    [
        (
            "guidellm-0.8.1-1.json",
            lambda d: at(d, "benchmarks", 0, "metrics", "request_totals").update(
                successful=0, errored=48
            ),
        ),
        (
            "aiperf-0.13.0.json",
            lambda d: (
                d.pop("request_count"),
                d.update(error_request_count={"unit": "requests", "avg": 48.0}),
            ),
        ),
        ("vllm-bench-0.32.0.json", lambda d: d.update(completed=0, failed=48)),
    ],
)
def test_zeros_of_a_load_without_an_answer_are_no_latencies(tmp_path, source, nothing_ended_well):
    path = changed(tmp_path, source, "none.json", nothing_ended_well)
    (load,) = read_results([path])[0].loads
    assert load.values == {"requests": 0, "errors": 48, "error_ratio": 1}
    assert "no request ended well" in load.warnings[-1]


def test_zeros_of_a_server_that_does_not_stream_are_no_latencies(tmp_path):
    def whole(data):
        data.update({key: 0.0 for key in data if key.endswith(("ttft_ms", "itl_ms"))})

    path = changed(tmp_path, "vllm-bench-0.32.0.json", "whole.json", whole)
    values = read_results([path])[0].loads[0].values
    assert not any(name.startswith(("ttft", "itl")) for name in values)
    assert "e2e_p50" in values


@pytest.mark.parametrize("name", ALL)
def test_settings_say_what_was_asked_for(name):
    result = read(name)
    for load in result.loads:
        settings = {**result.settings, **load.settings}
        assert settings["model"]
        assert any("4" in settings.get(key, "") for key in ("streams", "load")) or "two" in name


def test_nothing_secret_is_kept(tmp_path):
    def secret(data):
        endpoint = data["input_config"]["endpoint"]
        endpoint["urls"] = ["https://user:hunter2@example.net:8443/v1?key=hunter2"]
        data["input_config"]["phases"][0]["api_key"] = "hunter2"
        data["input_config"]["datasets"][0]["headers"] = {"Authorization": "Bearer hunter2"}

    path = changed(tmp_path, "aiperf-0.13.0.json", "secret.json", secret)
    (result,) = read_results([path])
    assert result.loads[0].settings["target"] == "https://example.net:8443"
    assert "hunter2" not in str(result)


def test_warnings_of_the_tool_are_passed_on(tmp_path):
    told = read("guidellm-0.8.1-1.json").loads[0].warnings
    raw = at(document("guidellm-0.8.1-1.json"), "benchmarks", 0, "warnings")
    assert list(told) == [warning["message"] for warning in raw]
    path = changed(
        tmp_path, "aiperf-0.13.0.json", "c.json", lambda data: data.update(was_cancelled=True)
    )
    assert "cancelled" in read_results([path])[0].loads[0].warnings[0]


def test_every_quantity_that_is_read_is_defined_by_its_tool():
    for name in ALL:
        result = read(name)
        for load in result.loads:
            assert {QUANTITIES[q].base for q in load.values} <= FORMATS[
                result.tool
            ].definitions.keys()


def test_a_directory_stands_for_its_results(tmp_path):
    artifacts = tmp_path / "run"
    artifacts.mkdir()
    content = (FILES / "aiperf-0.13.0.json").read_text()
    (artifacts / "profile_export_aiperf.json").write_text(content)
    (artifacts / "inputs.json").write_text("{}")
    assert [result.tool for result in read_results([artifacts])] == ["aiperf"]
    assert len(read_results([FILES])) == 8
