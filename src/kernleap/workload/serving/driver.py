"""Runs `kernleap-load` (native/driver) on this machine. Guests run the same static program."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kernleap.guest.build import build_driver, host_arch
from kernleap.machine.base import Interrupted
from kernleap.model.errors import InfrastructureError, UsageError
from kernleap.workload.serving.engines.base import Form as EngineForm
from kernleap.workload.serving.engines.base import Serving
from kernleap.workload.serving.load import Form, LoadSpec, TraceEntry
from kernleap.workload.serving.result import LoadResult, parse_summary

_FORMS = {
    EngineForm.OPENAI_COMPLETIONS: Form.COMPLETIONS,
    EngineForm.OPENAI_CHAT: Form.CHAT,
    EngineForm.TGI: Form.TGI,
}
# llama-server announces Keep-Alive and closes at the end of every stream.
_CLOSING = frozenset({"llama.cpp"})
_INTERRUPTED_STATUS = 130
_GRACE_S = 5.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and what only this server needs.

    Secrets come from files and variables of the environment (`bearer_*`, `header_file`), so that
    they are in no argument, plan or record. `path`: "" for the usual one of the form.
    """

    port: int
    host: str = "127.0.0.1"
    path: str = ""
    model: str = "default"
    headers: tuple[str, ...] = ()
    header_file: Path | None = None
    bearer_file: Path | None = None
    bearer_env: str = ""

    def settings(self) -> list[tuple[str, str]]:
        """As keys of the driver."""
        pairs = [("host", self.host), ("port", str(self.port)), ("model", self.model)]
        pairs += [("path", self.path)] if self.path else []
        pairs += [("header", header) for header in self.headers]
        for key, path in (("header_file", self.header_file), ("bearer_file", self.bearer_file)):
            pairs += [(key, str(path.absolute()))] if path else []
        pairs += [("bearer_env", self.bearer_env)] if self.bearer_env else []
        return pairs


def load_of(spec: LoadSpec, serving: Serving) -> tuple[LoadSpec, Target]:
    """`spec` in the form that an engine wants, and where it listens.

    An engine that takes `ignore_eos` is told so: an answer then has as many tokens as asked for.
    One that closes connections after each answer, whatever it announces, gets a new one each time:
    else half of all requests would be sent into a closing connection and sent again.
    """
    form = _FORMS[serving.form]
    extra = spec.extra_json
    if serving.ignores_eos and '"ignore_eos"' not in extra:
        extra = ",".join(part for part in ('"ignore_eos":true', extra) if part)
    address = serving.address
    target = Target(address.port, address.host, serving.path, serving.model_name)
    keep_alive = spec.keep_alive and serving.facts.engine not in _CLOSING
    return replace(spec, form=form, extra_json=extra, keep_alive=keep_alive), target


def run(
    spec: LoadSpec,
    target: Target,
    workdir: Path,
    *,
    keep_requests: bool = True,
    keep_events: bool = False,
    stop: threading.Event | None = None,
    finish: threading.Event | None = None,
    started: Callable[[int], None] = lambda _pid: None,
) -> LoadResult:
    """Put `target` under the load of `spec`; records go to `workdir`.

    The driver ends with this process, whatever ends it. `finish`, once set, ends the load as if
    its time were over: what was measured is the result, and its `interrupted` is true. `started` is
    told the driver's process.

    Raises:
        Interrupted: `stop` was set; the driver has been ended.
        UsageError: the driver refused the configuration.
        InfrastructureError: it cannot be built or run.
    """
    binary = build_driver(host_arch())
    requests, events = workdir / "requests.bin", workdir / "events.bin"
    pairs = [*spec.settings().items(), *target.settings(), ("die_with_parent", "1")]
    pairs.append(("summary", str((workdir / "summary.json").absolute())))
    pairs += [("requests_file", str(requests.absolute()))] if keep_requests else []
    pairs += [("events_file", str(events.absolute()))] if keep_events else []
    config = _write_config(spec, pairs, workdir)
    process = _start([str(binary), str(config)])
    started(process.pid)
    _wait(process, stop, finish)
    text = (workdir / "summary.json").read_text("utf-8")
    return replace(
        parse_summary(text, str(workdir / "summary.json")),
        requests_file=requests if keep_requests else None,
        events_file=events if keep_events else None,
    )


def config_text(pairs: Sequence[tuple[str, str]]) -> str:
    """A file for the driver.

    Raises:
        UsageError: a value with a line break, which would begin another setting.
    """
    for key, value in pairs:
        if "\n" in value or "\r" in value or "\0" in value:
            raise UsageError(f"{key} has a line break in it")
    return "".join(f"{key}={value}\n" for key, value in pairs)


def schedule(spec: LoadSpec) -> tuple[TraceEntry, ...]:
    """What `spec` would send, warm-up first, and when; in a closed loop all times are 0.

    Raises:
        UsageError: a closed loop bounded by time has no schedule of its own.
        InfrastructureError: as `run`.
    """
    binary = build_driver(host_arch())
    with tempfile.TemporaryDirectory(prefix="kernleap-load-") as scratch:
        config = _write_config(spec, [*spec.settings().items(), ("port", "1")], Path(scratch))
        done = subprocess.run(
            [binary, "--schedule", config], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise UsageError("the load has no schedule", cause=done.stderr.strip())
    return tuple(TraceEntry(*map(int, line.split())) for line in done.stdout.splitlines())


def _write_config(spec: LoadSpec, pairs: list[tuple[str, str]], workdir: Path) -> Path:
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if spec.trace:
            trace = workdir / "trace.txt"
            trace.write_text("".join(spec.trace_lines()))
            pairs = [*pairs, ("trace", str(trace.absolute()))]
        config = workdir / "load.conf"
        config.write_text(config_text(pairs), "utf-8")
    except OSError as error:
        raise InfrastructureError(
            "the load cannot be written", where=str(workdir), cause=error.strerror
        ) from error
    return config


def _start(argv: list[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C goes to the controller, which decides.
            process_group=0,
        )
    except OSError as error:
        raise InfrastructureError(
            "the load driver cannot be started", where=argv[0], cause=error.strerror
        ) from error


def _wait(
    process: subprocess.Popen[str], stop: threading.Event | None, finish: threading.Event | None
) -> None:
    """To its end, or that of our patience; raises unless it ran its load."""
    told = False
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                break
            if stop is not None and stop.is_set():
                raise Interrupted
            if finish is not None and finish.is_set() and not told:
                process.terminate()
                told = True
        if process.returncode == _INTERRUPTED_STATUS:
            if told:
                return
            raise Interrupted
        if process.returncode == 2:
            raise UsageError("the load driver refuses", cause=_tail(process))
        if process.returncode:
            raise InfrastructureError(
                f"the load driver ended with {process.returncode}", cause=_tail(process)
            )
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if process.poll() is None:
            process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()


def _tail(process: subprocess.Popen[str]) -> str:
    if process.poll() is None or process.stderr is None:
        return "it still runs and says nothing"
    return process.stderr.read().strip()[-500:] or "it said nothing"
