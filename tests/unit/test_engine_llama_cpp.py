"""llama.cpp for real: fetched, unpacked, started, asked; N tokens wanted are N events."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.model.kernel import Arch
from kernleap.workload.serving import packages
from kernleap.workload.serving.engines import ServeOptions, Serving, parse_engine, serve
from kernleap.workload.serving.packages import guest_files, llama_tree
from kernleap.workload.serving.process_tree import difference

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def tree():
    """The machine's own cache: a tree is fetched once."""
    try:
        return llama_tree()
    except InfrastructureError as error:
        pytest.skip(f"the archive is out of reach: {error.what}")


@pytest.fixture(scope="module")
def serving(tree, tmp_path_factory):
    options = ServeOptions(workdir=tmp_path_factory.mktemp("llama"), streams=8, context=1024)
    with serve(parse_engine("llama.cpp"), options) as found:
        yield found


def stream(serving: Serving, prompt: str, tokens: int, path: str = "") -> tuple[int, dict, str]:
    """Events with text, the usage, and the text of one streamed answer."""
    body = {
        "model": serving.model_name,
        "prompt": prompt,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "stream": True,
        "ignore_eos": True,
        "stream_options": {"include_usage": True},
    }
    del body["messages" if "chat" not in path else "prompt"]
    connection = http.client.HTTPConnection(serving.address.host, serving.address.port, timeout=60)
    connection.request("POST", path or serving.path, json.dumps(body))
    events, usage, text = 0, {}, ""
    for line in connection.getresponse():
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                piece = choice.get("text") or choice.get("delta", {}).get("content") or ""
                events += bool(piece)
                text += piece
    connection.close()
    return events, usage, text


@pytest.mark.parametrize("tokens", [1, 2, 7, 64, 300])
def test_as_many_events_as_tokens_were_asked_for(serving, tokens):
    events, usage, text = stream(serving, "Once upon a time", tokens)
    assert events == usage["completion_tokens"] == tokens
    assert len(text) == tokens
    assert all(" " <= c <= "~" for c in text)


@pytest.mark.parametrize(
    "prompt",
    ["a", " ", "hello world", "x" * 700, "tab\tand\nline", "é漢🙂", "</s><s>", '{"a": "\\"}'],
)
def test_whatever_the_prompt(serving, prompt):
    events, usage, _ = stream(serving, prompt, 20)
    assert events == usage["completion_tokens"] == 20


def test_one_printable_character_is_one_token(serving):
    _, usage, _ = stream(serving, "Any ASCII, 40 characters of it, not more", 1)
    assert usage["prompt_tokens"] == 40 + 1  # and one for the start


def test_eight_streams_at_once(serving):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: stream(serving, f"prompt {i}", 40 + i), range(32)))
    assert [events for events, _, _ in answers] == [40 + i for i in range(32)]


def test_the_chat_route(serving):
    events, usage, _ = stream(serving, "hello", 12, "/v1/chat/completions")
    assert events == usage["completion_tokens"] == 12


def test_no_prompt_is_remembered(serving):
    """Each request pays for its own prompt, whatever was asked before."""
    for _ in range(3):
        _, usage, _ = stream(serving, "the very same prompt", 2)
        assert usage.get("prompt_tokens_details", {}).get("cached_tokens", 0) == 0


def test_facts_and_account(serving):
    facts = serving.facts
    assert facts.model is not None
    assert (facts.model.quantisation, facts.threads, facts.managed) == ("Q4_0", 1, True)
    assert facts.more["backend"] != "unknown"
    assert facts.version.startswith("llama.cpp-tools ")
    account = serving.account()
    before = account.sample()
    events, _, _ = stream(serving, "hello", 200)
    use = difference(before, account.sample())
    assert events == 200
    assert 0 < use.cpu_ns < 5e9
    assert use.voluntary > 0


def test_it_uses_its_own_libraries_and_none_of_the_host(serving, tree):
    maps = Path(f"/proc/{serving.facts.pids[0]}/maps").read_text()
    mapped = {line.split()[-1] for line in maps.splitlines() if ".so" in line}
    assert mapped
    assert all(Path(path).is_relative_to(tree.root) for path in mapped)


def test_the_environment_cannot_change_the_server(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMA_ARG_THREADS", "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere/lib.so")
    with serve(parse_engine("llama.cpp"), ServeOptions(workdir=tmp_path)) as found:
        environment = Path(f"/proc/{found.process.pid}/environ").read_bytes()
        log = found.process.log_tail()
    assert b"PATH=" in environment
    assert not any(x in environment for x in (b"LLAMA_", b"OMP_", b"LD_PRELOAD"))
    assert "/nowhere" not in log


def test_a_model_that_is_none(tmp_path, tree):
    bad = tmp_path / "model.gguf"
    bad.write_bytes(b"not a model")
    with (
        pytest.raises(UsageError, match="does not start with GGUF"),
        serve(parse_engine(f"llama.cpp:{bad}")),
    ):
        pass


def test_arguments_that_the_server_refuses(tmp_path, tree):
    options = ServeOptions(workdir=tmp_path, extra_arguments=("--no-such-option",))
    with pytest.raises(InfrastructureError) as caught, serve(parse_engine("llama.cpp"), options):
        pass
    assert "ended before it was ready" in str(caught.value)
    assert "no-such-option" in str(caught.value.cause)


def test_a_damaged_tree_is_noticed_and_made_again(tree, tmp_path, monkeypatch):
    home = tmp_path / "cache" / "engines" / "llama.cpp" / "amd64"
    home.mkdir(parents=True)
    source = tree.root.parent
    shutil.copytree(source, home / source.name, symlinks=True)
    shutil.copy(source.parent / "current.json", home)
    monkeypatch.setenv("KERNLEAP_CACHE", str(tmp_path / "cache"))
    assert llama_tree(offline=True).digest == tree.digest
    library = next((home / source.name / "root").rglob("libggml-base.so.0.*"))
    library.write_bytes(library.read_bytes()[:-1] + b"x")
    packages._verified.clear()
    with pytest.raises(InfrastructureError, match="stay offline"):
        llama_tree(offline=True)
    again = llama_tree()
    assert again.digest == tree.digest
    assert subprocess.run([*again.program(), "--version"], check=False).returncode == 0


def test_files_for_a_guest_run_there_without_anything_else(tree, tmp_path):
    files = guest_files(tree)
    assert sum(path.stat().st_size for _, path, _ in files) < 40 << 20
    for path, here, mode in files:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here, target)
        target.chmod(mode)
    if os.geteuid():
        pytest.skip("chroot needs root")
    told = subprocess.run(
        ["chroot", str(tmp_path), "/usr/bin/llama-server", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "version:" in told.stdout + told.stderr
    with pytest.raises(UsageError, match="libggml-cpu-haswell"):
        guest_files(tree, backends=["libggml-cpu-z80.so"])


def test_the_other_architecture_is_whole_too(tree):
    other = llama_tree(Arch.ARM64)
    assert any(path == "lib/ld-linux-aarch64.so.1" for path, _, _ in guest_files(other))
