"""Sampled stacks of the kernel by `perf record`, switched on for stretches of time.

    with perf_recording(workdir) as recording:
        recording.on()
        ...
        recording.off()
    samples = recording.samples()

perf is started, opens its events and then waits; while it is off it costs nothing. It samples
`cycles` where there is a hardware counter, else `cpu-clock`, a timer. A timer cannot fire where
interrupts are off: what happens there is charged to where they are switched on again.

perf ends when its input does, so that it never outlives this process, whatever ends that.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from kernleap.model.cpu_samples import StackSamples
from kernleap.model.errors import InfrastructureError
from kernleap.probe.perf_script import FIELDS, read_script

FREQUENCY_HZ = 499
"""Samples a second and CPU: not in step with any tick."""
_MACHINE_MOST_HZ = 20_000
_LEAST_HZ = 49
_START_S = 20.0
_ACK_S = 10.0
_END_S = 60.0
_CAP_SYS_ADMIN, _CAP_PERFMON = 21, 38
_COUNTER = re.compile(r"cpu|cpu_core|armv\d.*")
_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_INSTALL = "install it: linux-perf (Debian), linux-tools-$(uname -r) (Ubuntu), perf (Fedora, Arch)"


def perf_problem() -> str | None:
    """Why perf cannot sample the kernel here, and what to do; None where it can."""
    if shutil.which("perf") is None:
        return f"there is no perf here; {_INSTALL}"
    if _level() > 1 and not _may_see_all():
        return (
            f"kernel.perf_event_paranoid is {_level()}: run as root, give CAP_PERFMON, "
            "or set it to 1"
        )
    return None


@dataclass(frozen=True, slots=True)
class _Plan:
    data: Path
    event: str
    frequency_hz: int
    whole_machine: bool


class PerfRecording:
    """A perf that runs, and its switch. Made by `perf_recording`."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: int, ack: int, plan: _Plan
    ) -> None:
        self._process = process
        self._control = control
        self._ack = ack
        self._plan = plan

    def on(self) -> None:
        """Sample from now on.

        Raises:
            InfrastructureError: perf has ended, or does not listen.
        """
        self._tell("enable")

    def off(self) -> None:
        """Sample no more, until `on`. Raises as `on`."""
        self._tell("disable")

    def samples(self) -> StackSamples:
        """What was sampled, once the context has been left.

        Raises:
            InfrastructureError: perf left nothing that can be read.
        """
        command = ["perf", "script", "--ns", "--show-lost-events", "-F", FIELDS]
        with (
            TemporaryFile("w+", errors="replace") as errors,
            subprocess.Popen(
                [*command, "-i", str(self._plan.data)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                text=True, errors="replace", env=_environment(), process_group=0,
            ) as process,
        ):  # fmt: skip
            assert process.stdout is not None
            text = read_script(process.stdout)
            process.wait()
            errors.seek(0)
            words = errors.read()
        if process.returncode or (text.unread and not text.samples):
            raise InfrastructureError(
                "perf's recording cannot be read",
                where=" ".join(command),
                cause=words.strip()[-500:] or f"{text.unread} lines of an unknown form",
                next_step="try another version of perf, or measure without it (--probe none)",
            )
        return StackSamples(
            event=self._plan.event,
            frequency_hz=self._plan.frequency_hz,
            whole_machine=self._plan.whole_machine,
            samples=tuple(text.samples),
            lost=text.lost,
            unread=text.unread,
        )

    def _tell(self, word: str) -> None:
        try:
            os.write(self._control, word.encode() + b"\n")
            deadline = time.monotonic() + _ACK_S
            said = b""
            while b"ack\n" not in said:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self._ack], [], [], left)[0]:
                    raise InfrastructureError("perf does not answer", cause=f"no reply to {word}")
                piece = os.read(self._ack, 64)
                if not piece:
                    raise BrokenPipeError
                said += piece
        except OSError as error:
            raise _ended(self._process) from error


@contextmanager
def perf_recording(
    workdir: Path, *, pids: Sequence[int] = (), frequency_hz: int | None = None
) -> Iterator[PerfRecording]:
    """A perf that is ready, and off. It has ended when the context is left.

    Args:
        workdir: takes perf's data.
        pids: processes to sample where the whole machine may not be; their threads, and what they
            start from now on, are in it.
        frequency_hz: samples a second and CPU; None for FREQUENCY_HZ, less on large machines.

    Raises:
        InfrastructureError: perf is not here, not allowed, or does not start.
    """
    if problem := perf_problem():
        raise InfrastructureError("perf cannot be used", cause=problem)
    whole = _may_see_all() or _level() < 1
    cpus = os.cpu_count() or 1
    hertz = frequency_hz or max(_LEAST_HZ, min(FREQUENCY_HZ, _MACHINE_MOST_HZ // cpus))
    event = _event()
    if event == "cycles" and not _opens(event):
        event = "cpu-clock"
    data = workdir / "perf.data"
    command_read, command_write = os.pipe()
    ack_read, ack_write = os.pipe()
    scope = ["-a"] if whole else ["-p", ",".join(map(str, pids))]
    argv = [
        "perf", "record", "-q", "-e", event, "-F", str(hertz), "-g", "--kernel-callchains",
        "-k", "CLOCK_MONOTONIC", "--no-buildid", "--no-buildid-cache", "-D", "-1",
        "--control", f"fd:{command_read},{ack_write}", "-o", str(data), *scope, "--", "cat",
    ]  # fmt: skip
    process = _start(argv, (command_read, ack_write))
    os.close(command_read)
    os.close(ack_write)
    plan = _Plan(data, event, hertz, whole)
    recording = PerfRecording(process, command_write, ack_read, plan)
    try:
        # It answers when its events are open. `disable` is what they are.
        recording.off()
        yield recording
    finally:
        _end(process)
        os.close(command_write)
        os.close(ack_read)


def _start(argv: list[str], descriptors: tuple[int, int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=descriptors, env=_environment(), process_group=0,
        )  # fmt: skip
    except OSError as error:
        raise InfrastructureError("perf cannot be started", cause=error.strerror) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its input, and so its workload; it writes its data and ends."""
    assert process.stdin is not None
    assert process.stderr is not None
    with suppress(OSError):
        process.stdin.close()
    for number, patience in ((signal.SIGINT, _END_S), (signal.SIGKILL, None)):
        try:
            process.wait(_ACK_S if number == signal.SIGINT else patience)
            break
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
    process.wait()
    process.stderr.close()


def _ended(process: subprocess.Popen[bytes]) -> InfrastructureError:
    words = ""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ACK_S)
        assert process.stderr is not None
        words = process.stderr.read().decode("utf-8", "replace").strip()[-500:]
    return InfrastructureError(
        "perf does not record",
        cause=words or "it ended, or closed its control pipe",
        next_step="perf of Linux 5.10 or later is needed (--control); or measure without it "
        "(--probe none)",
    )


def _event() -> str:
    try:
        names = os.listdir("/sys/bus/event_source/devices")  # noqa: PTH208
    except OSError:
        return "cpu-clock"
    return "cycles" if any(_COUNTER.fullmatch(name) for name in names) else "cpu-clock"


def _opens(event: str) -> bool:
    """Whether the event counts: some virtual machines show a counter that they do not have."""
    done = subprocess.run(
        ["perf", "stat", "-x", ",", "-e", event, "--", "true"],
        capture_output=True, text=True, check=False, env=_environment(), timeout=_START_S,
    )  # fmt: skip
    return done.returncode == 0 and "<not" not in done.stderr


def _environment() -> dict[str, str]:
    """The user's own configuration of perf and language would change what it prints."""
    return {**os.environ, "LC_ALL": "C", "PERF_CONFIG": os.devnull, "PAGER": "cat"}


def _level() -> int:
    try:
        return int(_PARANOID.read_text())
    except (OSError, ValueError):
        return 2


def _may_see_all() -> bool:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return False
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.M)
    held = int(match[1], 16) if match else 0
    return any(held >> capability & 1 for capability in (_CAP_SYS_ADMIN, _CAP_PERFMON))
