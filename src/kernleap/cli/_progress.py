"""Showing what goes on: live bars on a terminal, one line per event elsewhere. On stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from kernleap.model.trial import TrialStatus

if TYPE_CHECKING:
    from kernleap.experiment.progress import Progress


class Show(Protocol):
    """What a command tells its user while it works. Safe to use from several threads."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def fetching(self, what: str, done: int, total: int) -> None:
        """Bytes of a download; `total` is 0 when unknown."""

    def trials(self, moment: Progress) -> None:
        """A moment of a run under way."""


def clock_text(seconds: float) -> str:
    """`42 s`, `3 min 10 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def showing(quiet: bool) -> Iterator[Show]:
    """The fitting display: none when quiet, bars on a terminal, else plain lines."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        with Bars.running() as bars:
            yield bars
    else:
        yield Lines()


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def fetching(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def trials(self, moment: Progress) -> None:
        """Nothing."""


def ended_text(moment: Progress) -> str:
    """The line for a trial that ended."""
    record = moment.ended
    assert record is not None
    place = f"{moment.done:>{len(str(moment.total))}}/{moment.total}"
    text = f"[{place}] {record.trial.arm}, block {record.trial.block + 1}: {record.status}"
    if record.attempt > 1:
        text += f" (attempt {record.attempt})"
    if record.status is not TrialStatus.OK and record.reason:
        text += f": {record.reason}"
    return text


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def fetching(self, what: str, done: int, total: int) -> None:
        """Say once that a download began, and once that it ended."""
        with self._lock:
            first = what not in self._begun
            if first:
                self._begun[what] = time.monotonic()
            ended = 0 < total <= done and self._begun[what] >= 0
            took = time.monotonic() - self._begun[what]
            if ended:
                self._begun[what] = -1.0
        size = f", {total / 1e6:.1f} MB" if total else ""
        if ended:
            self.say(f"fetched {what}{size}" if first else f"fetched {what} in {took:.0f} s")
        elif first:
            self.say(f"fetching {what}{size}")

    def trials(self, moment: Progress) -> None:
        """One line for each trial that ended."""
        if moment.ended is not None:
            assert moment.left_s is not None
            left = f" - about {clock_text(moment.left_s)} left" if moment.left_s >= 1 else ""
            self.say(ended_text(moment) + left)


class Bars:
    """Live bars. Failed trials and `say` leave a line above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Bars]:
        """Show bars while the context lasts."""
        bars = cls()
        with bars._progress:
            yield bars

    def say(self, text: str) -> None:
        """Leave a line above the bars."""
        self._console.print(text, markup=False, soft_wrap=True)

    def fetching(self, what: str, done: int, total: int) -> None:
        """A bar for each download."""
        note = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        self._update(f"fetching {what}", done, total, note)

    def trials(self, moment: Progress) -> None:
        """One bar for the run."""
        ended = moment.ended
        if ended is not None and (ended.status is not TrialStatus.OK or ended.attempt > 1):
            self.say(ended_text(moment))
        parts = [f"{moment.done} of {moment.total}"]
        if moment.failed:
            parts.append(f"{moment.failed} failed")
        if moment.running:
            parts.append(f"{len(moment.running)} running")
        if moment.left_s and moment.left_s >= 1:
            parts.append(f"about {clock_text(moment.left_s)} left")
        self._update("running trials", moment.done, moment.total, " · ".join(parts))

    def _update(self, name: str, done: int, total: int, note: str) -> None:
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total or None, note=note)
            self._progress.update(
                self._tasks[name],  # type: ignore[arg-type]
                completed=done,
                total=total or None,
                note=note,
                visible=not 0 < total <= done or name == "running trials",
            )
