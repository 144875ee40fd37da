"""Waiting for a server of ours to get ready, and saying why it did not."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving.engines.base import ServeOptions, ending
from kernleap.workload.serving.engines.http import Address, NoReplyError, get
from kernleap.workload.serving.engines.ports import listeners, reserved_port
from kernleap.workload.serving.engines.process import ServerProcess

_POLL_S = 0.05
_IN_USE = ("address already in use", "eaddrinuse", "couldn't bind", "failed to bind")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server: all that depends on the port and a directory for it."""

    name: str
    argv: Callable[[int, Path], Sequence[str]]
    ready_paths: tuple[str, ...]
    """It is ready when one of these answers 200."""
    env: Callable[[int, Path], Mapping[str, str | None]] = lambda _port, _directory: {}
    cwd: Path | None = None
    """None: the directory of its log."""


@contextlib.contextmanager
def started(launch: Launch, options: ServeOptions) -> Iterator[tuple[ServerProcess, Address]]:
    """Start a server on a free loopback port, wait until it is ready, end it in the end.

    Raises:
        InfrastructureError: it cannot be started, ends, does not get ready in time, or another
            process answers at its port. The end of its log is part of the error.
    """
    with contextlib.ExitStack() as stack:
        if options.workdir is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kernleap-")))
        else:
            directory = options.workdir
            directory.mkdir(parents=True, exist_ok=True)
        process, address = _start(stack, launch, options, directory)
        yield process, address


def _start(
    stack: contextlib.ExitStack, launch: Launch, options: ServeOptions, directory: Path
) -> tuple[ServerProcess, Address]:
    with contextlib.ExitStack() as attempt:
        port = attempt.enter_context(reserved_port())
        process = attempt.enter_context(_process(launch, port, directory))
        address = Address("127.0.0.1", port)
        try:
            _wait(process, address, launch, options)
        except _PortInUse:
            attempt.close()  # it sets no reuse option, so our reservation is in its way
            process = attempt.enter_context(_process(launch, port, directory))
            try:
                _wait(process, address, launch, options)
            except _PortInUse as error:
                raise _port_error(error, launch, port) from None
        stack.push(attempt.pop_all())
        return process, address


def _process(launch: Launch, port: int, directory: Path) -> ServerProcess:
    return ServerProcess(
        launch.argv(port, directory),
        directory / "server.log",
        name=launch.name,
        env=launch.env(port, directory),
        cwd=launch.cwd or directory,
    )


class _PortInUse(Exception):  # noqa: N818  (tried again, or becomes an InfrastructureError)
    """The server ended because it could not have a port; `args[0]` is the error to raise."""


def _port_error(caught: _PortInUse, launch: Launch, port: int) -> InfrastructureError:
    """Who has the port; the server's own words where it is another port than the one we gave."""
    if owners := listeners(port):
        return _port_taken(launch, port, owners)
    error = caught.args[0]
    assert isinstance(error, InfrastructureError)
    return error


def _wait(process: ServerProcess, address: Address, launch: Launch, options: ServeOptions) -> None:
    deadline = time.monotonic() + options.ready_limit_s
    last = "it was not asked in time"
    while time.monotonic() < deadline:
        options.while_waiting()
        if not process.is_running():
            error = InfrastructureError(
                f"{launch.name} ended before it was ready, {ending(process.exit_status)}",
                where=" ".join(process.argv),
                cause=f"its last words:\n{process.last_lines()}",
                next_step="run the command by hand to see all of its output",
            )
            if any(sign in process.log_tail().lower() for sign in _IN_USE):
                raise _PortInUse(error)
            raise error
        for path in launch.ready_paths:
            try:
                reply = get(address, path, min(2.0, options.ready_limit_s))
            except NoReplyError as error:
                last = f"GET {path}: {error}"
                break  # no connection: other paths have none either
            if reply.status == 200:
                _check_owner(process, address, launch)
                return
            last = f"GET {path}: status {reply.status}"
        time.sleep(_POLL_S)
    raise InfrastructureError(
        f"{launch.name} did not get ready within {options.ready_limit_s:g} s ({last})",
        where=" ".join(process.argv),
        cause=f"its last words:\n{process.last_lines()}",
        next_step="give it more time, or run the command by hand to see what it waits for",
    )


def _check_owner(process: ServerProcess, address: Address, launch: Launch) -> None:
    """What answers must be the server that was started, not one that had the port before."""
    owners = listeners(address.port)
    if owners and not owners & set(process.pids()):
        raise _port_taken(launch, address.port, owners)


def _port_taken(launch: Launch, port: int, owners: set[int]) -> InfrastructureError:
    who = ", ".join(_named(pid) for pid in sorted(owners))
    return InfrastructureError(
        f"port {port} is taken, so {launch.name} cannot listen on it",
        where=f"127.0.0.1:{port}",
        cause=f"it belongs to {who}" if who else "another process has it",
        next_step="try again: a free port is chosen each time; the command must use its {port}",
    )


def _named(pid: int) -> str:
    try:
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    except OSError:
        return f"process {pid}"
