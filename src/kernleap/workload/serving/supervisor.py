"""Stands between kernleap and a server, so that nothing of the server outlives kernleap.

Run as a program of its own (`python supervisor.py COMMAND...`), standard library only. It
becomes the subreaper of everything the server starts (prctl(2)): whatever detaches itself comes
back here, is found, and is ended. It holds the reading end of a pipe (its standard input) whose
other end kernleap holds: when kernleap is gone, for whatever reason, the pipe says so.

Written to standard output, one JSON object a line:
    {"started": PID} | {"failed": ERRNO, "words": TEXT}
    {"ended": STATUS}                  the server itself ended (negative: by that signal)
    {"stopped": true, "killed": N, "user_s": S, "system_s": S}   last; times of all that ended

Read from standard input: `stop SECONDS` asks the server to end, and kills what is left after
so long.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_ALONE_S = 2.0
_POLL_S = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


def main(argv: list[str]) -> int:
    """Start the server, wait for word from kernleap, end everything."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        _say({"failed": ctypes.get_errno(), "words": "prctl: cannot be a subreaper"})
        return 1
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
            preexec_fn=_die_with_supervisor,  # noqa: PLW1509  (there is one thread here)
        )
    except OSError as error:
        _say({"failed": error.errno, "words": error.strerror or str(error)})
        return 1
    _say({"started": server.pid})
    grace_s = _wait_for_word(server.pid, woken)
    killed = _end_all(server.pid, grace_s)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    _say({"stopped": True, "killed": killed, "user_s": used.ru_utime, "system_s": used.ru_stime})
    return 0


def _die_with_supervisor() -> None:
    """Even SIGKILL of this process ends the server (though not what that had started)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_word(server: int, woken: int) -> float:
    """Reap until asked to stop or left alone; returns the seconds of grace."""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready and signal.SIGTERM in os.read(woken, 512):
            return _GRACE_ALONE_S
        _reap(server)
        if 0 in ready:
            words = os.read(0, 512).decode("ascii", "replace").split()
            return float(words[1]) if len(words) > 1 else _GRACE_ALONE_S


def _end_all(server: int, grace_s: float) -> int:
    """Ask the server, then the rest, to end; kill what does not. Returns how many were killed."""
    deadline = time.monotonic() + grace_s
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if server in _below():
            os.kill(server, signal.SIGTERM)
    asked: set[int] = {server}
    while (left := _left(server)) and time.monotonic() < deadline:
        if server not in left:  # it had its chance to end its own children in order
            for pid in left - asked:
                _signal(pid, signal.SIGTERM)
            asked |= left
        time.sleep(_POLL_S)
    killed: set[int] = set()
    while left := _left(server):
        for pid in left:
            _signal(pid, signal.SIGKILL)
        killed |= left
        time.sleep(_POLL_S)
    # A process whose threads are still ending is a zombie before it can be waited for.
    while _reap(server):
        time.sleep(_POLL_S / 10)
    return len(killed)


def _left(server: int) -> set[int]:
    _reap(server)
    return _below()


def _reap(server: int) -> bool:
    """Wait for whatever has ended, so that its times are accounted and its id is free.

    Returns whether there are children left.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == server:
            _say({"ended": os.waitstatus_to_exitcode(status)})


def _below() -> set[int]:
    """Every live process below this one, whoever its parent is now."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
                state, parent = stream.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry))
    found = [os.getpid()]
    for pid in found:
        found += children.get(pid, [])
    return set(found[1:])


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _say(words: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # kernleap may be gone; the work remains
        os.write(1, (json.dumps(words) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
