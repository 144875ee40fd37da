"""Engines: their grammar, starting and stopping real processes, and errors that help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import engine_servers
from kernleap.model.errors import InfrastructureError, KernleapError, UsageError
from kernleap.workload.serving.engines import Form, ServeOptions, parse_engine, serve
from kernleap.workload.serving.engines.http import NoReplyError, get, parse_address
from kernleap.workload.serving.engines.ports import listeners, reserved_port
from kernleap.workload.serving.engines.process import ServerProcess
from kernleap.workload.serving.engines.readiness import Launch, _check_owner

SERVER = f"{sys.executable} {Path(engine_servers.__file__)}"


def command(kind: str, port: str = "{port}") -> str:
    return f"command:{SERVER} {kind} {port}"


def options(tmp_path: Path, **given) -> ServeOptions:
    return ServeOptions(workdir=tmp_path, **{"ready_limit_s": 20.0, **given})


def alive(pids) -> list[int]:
    """Those of `pids` that still run; a zombie does not."""
    left = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            left.append(pid)
    return left


def refused(text: str, given: ServeOptions | None = None) -> KernleapError:
    """Try to have an engine serve; the error."""
    with pytest.raises(KernleapError) as caught, serve(parse_engine(text), given):
        pass
    return caught.value


@contextmanager
def attached(kind: str):
    """A server that someone else started, as (address, its process)."""
    with reserved_port() as port:
        process = subprocess.Popen(
            [sys.executable, engine_servers.__file__, kind, str(port)], stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 15
            while not listeners(port) and time.monotonic() < deadline:
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no engine ``"),
        ("lama.cpp", "there is no engine `lama.cpp`"),
        ("openai", "needs the address"),
        ("openai:", "needs the address"),
        ("openai:ftp://x", "is not the address of an engine"),
        ("openai:https://x", "behind https"),
        ("openai:http://x:99999", "is not the address"),
        ("openai:http://", "is not the address"),
        ("vllm:http://h:1?x=1", "is not the address"),
        ("tgi:", "needs the address"),
        ("command:", "needs a command line"),
        ("command:./serve", "where the port goes"),
        ("command:'./serve {port}", "cannot be split"),
    ],
)
def test_engines_that_cannot_be_meant(text, says):
    with pytest.raises(UsageError) as caught:
        parse_engine(text)
    assert says in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "llama.cpp",
        "llama.cpp:/models/a:b.gguf",
        "vllm",
        "vllm:http://127.0.0.1:8000",
        "tgi:http://10.0.0.1:3000/",
        "openai:http://localhost:11434/v1",
        "command:./serve --port {port}",
    ],
)
def test_engines_read_and_written_back(text):
    assert str(parse_engine(text)) == text


def test_addresses():
    assert str(parse_address("localhost:8000/v1", "")) == "http://localhost:8000"
    assert str(parse_address("http://[::1]:80/base/", "")) == "http://[::1]:80/base"


def test_a_house_made_server_is_started_asked_and_ended(tmp_path):
    with serve(parse_engine(command("openai")), options(tmp_path)) as serving:
        pids = serving.facts.pids
        assert alive(pids) == list(pids)
        assert get(serving.address, "/health").body == b"ok"
        assert (serving.model_name, serving.path) == ("house", "/v1/completions")
        assert serving.account().sample().processes == 1
        serving.check_alive()
    assert alive(pids) == []
    assert serving.process.killed == 0
    assert serving.process.exit_status == -signal.SIGTERM


def test_each_context_is_a_fresh_server(tmp_path):
    ref = parse_engine(command("openai"))
    with serve(ref, options(tmp_path)) as one, serve(ref, options(tmp_path / "2")) as two:
        assert one.address.port != two.address.port
        assert not set(one.facts.pids) & set(two.facts.pids)


def test_a_tree_that_ignores_sigterm_and_daemonises_is_ended_whole(tmp_path):
    argv = [sys.executable, engine_servers.__file__, "stubborn"]
    with reserved_port() as port:
        log = tmp_path / "log"
        with ServerProcess([*argv, str(port)], log, name="stubborn", grace_s=0.5) as process:
            deadline = time.monotonic() + 10
            while len(pids := process.pids()) < 5 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert len(pids) >= 5
    assert alive(pids) == []
    assert process.killed >= 1


def test_nothing_is_left_when_the_controller_is_killed(tmp_path):
    """SIGKILL of the program that holds the server: even its daemons end."""
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from kernleap.workload.serving.engines.process import ServerProcess\n"
        f"argv = [sys.executable, {engine_servers.__file__!r}, 'stubborn', '0']\n"
        f"with ServerProcess(argv, Path({str(tmp_path / 'log')!r}), name='x') as p:\n"
        "    while len(p.pids()) < 5: time.sleep(0.05)\n"
        "    print(p.tree_root, *p.pids(), flush=True)\n    time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    controller = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True
    )
    pids = [int(word) for word in controller.stdout.readline().split()]
    assert len(pids) >= 6
    controller.kill()
    controller.wait()
    controller.stdout.close()
    deadline = time.monotonic() + 15
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(pids) == []


def test_an_exception_within_the_context_ends_the_server_too(tmp_path):
    pids: tuple[int, ...] = ()
    ref = parse_engine(command("openai"))
    with pytest.raises(KeyboardInterrupt), serve(ref, options(tmp_path)) as serving:
        pids = serving.facts.pids
        raise KeyboardInterrupt
    assert pids
    assert alive(pids) == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("dies", ["ended before it was ready, with status 3", "fatal: no such weights"]),
        ("crashes", ["ended before it was ready, by signal 11", "about to crash"]),
        ("slow", ["did not get ready within 2 s", "still loading"]),
        ("rude", ["did not get ready within 2 s", "not HTTP", "220 mail.example"]),
        ("silent", ["did not get ready within 2 s", "no answer within"]),
    ],
)
def test_a_server_that_never_gets_ready(tmp_path, kind, says):
    began = time.monotonic()
    error = refused(command(kind), options(tmp_path, ready_limit_s=2.0))
    assert isinstance(error, InfrastructureError)
    assert time.monotonic() - began < 12
    for words in (*says, f"{kind} "):
        assert words in str(error)
    assert error.next_step


def test_a_server_that_dies_while_it_serves(tmp_path):
    with serve(parse_engine(command("openai")), options(tmp_path)) as serving:
        os.kill(serving.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        with pytest.raises(InfrastructureError, match="ended on its own, by signal 9"):
            while time.monotonic() < deadline:
                serving.check_alive()
                time.sleep(0.02)


def test_a_port_that_is_taken(tmp_path):
    """A command that does not take the port it is given, and another process has the other."""
    with attached("openai") as (address, _):
        port = address.rpartition(":")[2]
        text = f"command:{SERVER} openai {port} {{port}}"
        error = refused(text, options(tmp_path, ready_limit_s=5.0))
    assert "ended before it was ready" in str(error)
    assert "ddress already in use" in str(error)


def test_an_answer_of_another_process_is_not_taken_for_readiness(tmp_path):
    """The command runs on without listening; what answers at its port is not its own."""
    with attached("openai") as (address, process):
        port = int(address.rpartition(":")[2])
        launch = Launch("house", lambda *_: ["sleep", "600"], ("/health",))
        with (
            ServerProcess(["sleep", "600"], tmp_path / "log", name="house") as ours,
            pytest.raises(InfrastructureError, match=f"port {port} is taken") as caught,
        ):
            _check_owner(ours, parse_address(address, ""), launch)
        assert f"(process {process.pid})" in str(caught.value)


def test_a_server_without_reuse_options_gets_its_port_at_the_second_try(tmp_path):
    with serve(parse_engine(command("no_reuse")), options(tmp_path)) as serving:
        assert get(serving.address, "/health").status == 200


def test_reserved_ports_are_not_given_twice():
    found: list[int] = []
    barrier = threading.Barrier(20)

    def reserve():
        with reserved_port() as port:
            found.append(port)
            barrier.wait(timeout=20)

    threads = [threading.Thread(target=reserve) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 20


def test_a_program_that_is_not_there():
    assert "there is no program" in str(refused("command:./no-such-server {port}"))


def test_a_program_that_cannot_run(tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF rubbish")
    broken.chmod(0o755)
    error = refused(f"command:{broken} {{port}}", options(tmp_path))
    assert "cannot be started: Exec format error" in str(error)


def test_attach_to_an_openai_server():
    with attached("openai") as (address, process):
        with serve(parse_engine(f"openai:{address}")) as serving:
            assert serving.model_name == "house"
            assert serving.tree_root == process.pid
            assert serving.facts.version.startswith("house-made")
            assert not serving.facts.managed
            assert engine_servers.__file__ in serving.facts.command_line
            assert serving.account().sample().processes == 1
        assert process.poll() is None  # left as it was found


def test_attach_to_tgi_emulated():
    """The server is an emulation by TGI's OpenAPI description, not TGI."""
    with attached("tgi") as (address, process):
        with serve(parse_engine(f"tgi:{address}")) as serving:
            assert (serving.form, serving.path) == (Form.TGI, "/generate_stream")
            assert serving.facts.version == "2.4.1"
            assert serving.model_name == "emulated/model"
            assert serving.facts.more["max_concurrent_requests"] == "2"
            assert "docker_label" not in serving.facts.more
            assert serving.tree_root == process.pid
        with serve(parse_engine(f"tgi:{address}"), ServeOptions(form=Form.OPENAI_CHAT)) as serving:
            assert serving.path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("kind", "engine", "says"),
    [
        ("sick", "tgi", ["answers with status 503", "unhealthy"]),
        ("garbage", "tgi", ["does not look like a TGI server", "<html>"]),
        ("garbage", "openai", ["does not look like", "a list of models", "<html>"]),
        ("garbage", "vllm", ["does not look like a vLLM server", "<html>"]),
        ("openai", "vllm", ["answers with status 404"]),
        ("openai", "tgi", ["answers with status 404"]),
        ("rude", "openai", ["not HTTP", "220 mail"]),
    ],
)
def test_attach_to_something_else(kind, engine, says):
    with attached(kind) as (address, _):
        error = refused(f"{engine}:{address}")
    assert isinstance(error, InfrastructureError)
    for words in says:
        assert words in str(error)
    assert error.next_step


def test_attach_where_nothing_listens():
    with reserved_port() as port:
        assert "refused" in str(refused(f"openai:http://127.0.0.1:{port}"))


def test_a_long_answer_is_not_read_to_its_end(monkeypatch):
    with attached("openai") as (address, _):
        monkeypatch.setattr("kernleap.workload.serving.engines.http._MAX_BODY_BYTES", 1)
        assert get(parse_address(address, ""), "/health").body == b"o"


def test_no_reply_is_its_own_error():
    with reserved_port() as port, pytest.raises(NoReplyError):
        get(parse_address(f"http://127.0.0.1:{port}", ""), "/")


def test_vllm_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "vLLM is not installed" in str(refused("vllm", options(tmp_path)))


def test_a_server_that_lists_no_models_serves_one_nobody_knows(tmp_path):
    engine = parse_engine(f"command:{SERVER} tgi {{port}} --api-key hunter2")
    with serve(engine, options(tmp_path, ready_path="/health")) as serving:
        assert serving.model_name == "tiny"  # what requests name
        assert serving.facts.model_name == "unknown"
        assert serving.facts.command_line[-2:] == ("--api-key", "[hidden]")
