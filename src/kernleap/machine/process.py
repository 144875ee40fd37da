"""One emulator process: started, watched, its console drained, ended without leftovers."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kernleap.machine.base import Interrupted
from kernleap.model.errors import InfrastructureError

CONSOLE_TAIL_BYTES = 32 << 10
CONSOLE_FLOOD_BYTES = 8 << 20
_CHUNK = 16 << 10
_POLL_S = 0.02
_NO_FEATURE = "warning: TCG doesn't support requested feature"
# Ends the emulator when the thread that started it is gone, SIGKILL of the controller included.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


class Ending(StrEnum):
    """Why a process ended."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    FLOODED = "flooded"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an emulator process ended."""

    ending: Ending
    exit_status: int
    """The process's exit code; negative: the signal that ended it."""
    console: str
    """The end of what it printed, at most CONSOLE_TAIL_BYTES."""
    cpu_seconds: float
    wall_seconds: float


class _Console:
    """Reads a pipe to its end, keeps the tail, counts the rest."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self.total = 0
        self._thread = threading.Thread(target=self._drain, name="console", daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while chunk := os.read(self._descriptor, _CHUNK):
            self.total += len(chunk)
            self._chunks.append(chunk)
            self._kept += len(chunk)
            while self._kept - len(self._chunks[0]) >= CONSOLE_TAIL_BYTES:
                self._kept -= len(self._chunks.popleft())

    def tail(self) -> str:
        """What was printed last. Undecodable bytes are escaped: it is the guest's word."""
        self._thread.join(timeout=5)
        raw = b"".join(self._chunks)[-CONSOLE_TAIL_BYTES:]
        text = raw.decode("utf-8", errors="backslashreplace").replace("\r\n", "\n")
        # A named CPU model makes QEMU list each feature that emulation lacks, at every start.
        text = "".join(t for t in text.splitlines(keepends=True) if _NO_FEATURE not in t)
        return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def run_emulator(
    argv: Sequence[str], workdir: Path, time_limit_s: float, stop: threading.Event
) -> Outcome:
    """Run it to its end, at most `time_limit_s` seconds of host time.

    Raises:
        Interrupted: `stop` was set; the process has been ended.
        InfrastructureError: it could not be started.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            (*_DIE_WITH_PARENT, *argv),
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C goes to the controller, which decides; not to each emulator as well.
            process_group=0,
        )
    except OSError as error:
        raise InfrastructureError(
            "the emulator cannot be started",
            where=argv[0],
            cause=error.strerror or str(error),
            next_step="apt-get install qemu-system-x86 util-linux",
        ) from error
    assert process.stdout is not None
    console = _Console(process.stdout.fileno())
    ending = Ending.EXITED
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            if ending is Ending.EXITED:
                if time.monotonic() - started > time_limit_s:
                    ending = Ending.TIMED_OUT
                    process.kill()
                elif console.total > CONSOLE_FLOOD_BYTES:
                    ending = Ending.FLOODED
                    process.kill()
            if stop.wait(_POLL_S):
                raise Interrupted
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        tail = console.tail()
        process.stdout.close()
    return Outcome(
        ending=ending,
        exit_status=process.returncode,
        console=tail,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        wall_seconds=time.monotonic() - started,
    )
