"""A server that kernleap starts: watched through its supervisor, ended with all it started."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from kernleap.model.errors import InfrastructureError
from kernleap.workload.serving import supervisor
from kernleap.workload.serving.proc import descendants

LOG_TAIL_BYTES = 8 << 10
STOP_GRACE_S = 5.0
_FIRST_WORD_S = 30.0
_LAST_WORDS_S = 10.0


class ServerProcess:
    """One running server. Leaving the context ends it and everything it started.

    Args:
        argv: the command; its first item may be looked up in PATH.
        log: file that takes its standard output and error.
        env: changes to our own environment; None removes a variable.
        name: what to call it in errors.

    Raises (on entering):
        InfrastructureError: it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        name: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        grace_s: float = STOP_GRACE_S,
    ) -> None:
        self.argv = tuple(argv)
        self.name = name
        self.log = log
        self.pid = 0
        self.killed = 0
        """After the end: how many processes had to be killed."""
        self.exit_status: int | None = None
        """Of the server itself once it has ended; negative: the signal that ended it."""
        changed: dict[str, str | None] = {**os.environ, **(env or {})}
        self._env = {name: value for name, value in changed.items() if value is not None}
        self._cwd = cwd
        self._grace_s = grace_s
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._words = b""

    def __enter__(self) -> ServerProcess:
        with self.log.open("ab") as log:
            self._supervisor = subprocess.Popen(
                # Isolated and without site-packages: it starts fast and imports nothing strange.
                [sys.executable, "-I", "-S", supervisor.__file__, *self.argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                # Ctrl-C is for kernleap, which then ends the server in order.
                start_new_session=True,
            )
        try:
            first = self._word(_FIRST_WORD_S) or {}
        except BaseException:
            self.stop()
            raise
        if "started" not in first:
            self.stop()
            raise self._cannot_start(first)
        self.pid = int(first["started"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def tree_root(self) -> int:
        """The process below which everything of the server is: its supervisor."""
        assert self._supervisor is not None
        return self._supervisor.pid

    def pids(self) -> list[int]:
        """Live processes of the server, the supervisor not among them."""
        return descendants(self.tree_root)[1:]

    def is_running(self) -> bool:
        """Whether the server itself (not merely something it started) still runs."""
        while self.exit_status is None and (word := self._word(0.0)):
            if "ended" in word:
                self.exit_status = int(word["ended"])
        return self.exit_status is None and self._is_supervised()

    def log_tail(self, limit_bytes: int = LOG_TAIL_BYTES) -> str:
        """The end of what it printed, control characters escaped."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, self.log.stat().st_size - limit_bytes))
                text = stream.read(limit_bytes).decode("utf-8", "backslashreplace")
        except OSError:
            return ""
        return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)

    def last_lines(self, count: int = 12) -> str:
        """The last lines of its log, for an error's text."""
        lines = [line.rstrip() for line in self.log_tail().splitlines() if line.strip()]
        return "\n".join(f"  | {line[:200]}" for line in lines[-count:]) or "  | (it said nothing)"

    def stop(self) -> None:
        """End it: SIGTERM, after the grace SIGKILL, for the whole tree. Again: nothing."""
        process = self._supervisor
        if process is None or process.stdin is None or process.stdin.closed:
            return
        try:
            process.stdin.write(f"stop {self._grace_s}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            pass
        deadline = time.monotonic() + self._grace_s + _LAST_WORDS_S
        while (word := self._word(deadline - time.monotonic())) is not None:
            if "ended" in word:
                self.exit_status = int(word["ended"])
            self.killed = int(word.get("killed", self.killed))
        process.stdin.close()
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def _is_supervised(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def _word(self, time_limit_s: float) -> dict[str, Any] | None:
        """The supervisor's next line, None if none comes in time or any more."""
        assert self._supervisor is not None and self._supervisor.stdout is not None
        deadline = time.monotonic() + time_limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._supervisor.stdout, selectors.EVENT_READ)
            while b"\n" not in self._words:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                chunk = os.read(self._supervisor.stdout.fileno(), 4096)
                if not chunk:
                    return None
                self._words += chunk
        line, _, self._words = self._words.partition(b"\n")
        word = json.loads(line)
        assert isinstance(word, dict)
        return word

    def _cannot_start(self, word: dict[str, Any]) -> InfrastructureError:
        return InfrastructureError(
            f"{self.name} cannot be started: {word.get('words', 'its supervisor ended')}",
            where=self.argv[0],
            next_step="check the command and that the file is executable",
        )
