"""The local executor: as many trials at once as this machine bears, each stored as it ends."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from kernleap.experiment.progress import Progress, ProgressCallback, time_left
from kernleap.experiment.trial import run_trial, story
from kernleap.machine.base import Interrupted, TrialRunner
from kernleap.model.errors import InfrastructureError
from kernleap.model.kernel import KernelImage
from kernleap.model.run import RunPlan
from kernleap.model.trial import Trial, TrialRecord, TrialStatus
from kernleap.store import RunStore

_POLL_S = 0.1
"""How soon a set `stop` is passed on to the runners."""


def execute(
    plan: RunPlan,
    images: Mapping[str, KernelImage],
    runners: Sequence[TrialRunner],
    store: RunStore,
    *,
    jobs: int,
    progress: ProgressCallback,
    stop: threading.Event,
    again: Collection[TrialStatus] = (TrialStatus.LOST,),
) -> None:
    """Run the trials of `plan` that have no record yet; store each as it ends.

    Called on a new run it runs everything; on an interrupted one it resumes: trials with a
    record are skipped, save those that ended with a status in `again` (never `ok`). The run
    is locked meanwhile. `progress` is called in the caller's thread.

    Args:
        images: kernel by its key (ArmInputs.key).
        runners: one for each part of the plan.
        jobs: trials at once, at least 1.
        stop: when set, the runners end their machines and no further trial starts.

    Raises:
        machine.base.Interrupted: `stop` was set and trials are left. Resume by calling again.
        InfrastructureError: nothing can be run, or a record cannot be written. Stored
            trials stay; calling again resumes.
        UsageError: another controller works on the run.
    """
    with store.controlling():
        session = _Session(plan, images, runners, store, progress, stop)
        session.run(max(1, jobs), frozenset(again) - {TrialStatus.OK})


@dataclass
class _Session:
    """One call of `execute`. Workers touch only `pending`, `halt` and `messages`."""

    plan: RunPlan
    images: Mapping[str, KernelImage]
    runners: Sequence[TrialRunner]
    store: RunStore
    progress: ProgressCallback
    stop: threading.Event
    halt: threading.Event = field(default_factory=threading.Event)
    """Set on `stop` or on an error: what the runners watch."""
    pending: deque[Trial] = field(default_factory=deque)
    messages: queue.SimpleQueue[Trial | TrialRecord | BaseException | None] = field(
        default_factory=queue.SimpleQueue
    )
    history: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    """Of trials run again: stories of earlier attempts, and the next attempt's number."""
    statuses: dict[str, TrialStatus] = field(default_factory=dict)
    """Of trials that are stored and stay."""
    started: dict[str, tuple[Trial, float]] = field(default_factory=dict)
    """Running trials, and since when (monotonic)."""
    durations: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    jobs: int = 1

    def run(self, jobs: int, again: frozenset[TrialStatus]) -> None:
        self._look_at_store(again)
        self.jobs = min(jobs, len(self.pending))
        self._tell()
        workers = [
            threading.Thread(target=self._work, name=f"trial worker {n}", daemon=True)
            for n in range(self.jobs)
        ]
        for worker in workers:
            worker.start()
        try:
            error = self._listen(len(workers))
        finally:
            self.halt.set()
            for worker in workers:
                worker.join()
        if error is not None:
            raise error
        if len(self.statuses) < len(self.plan.trials):
            raise Interrupted

    def _look_at_store(self, again: frozenset[TrialStatus]) -> None:
        for trial_id, header in self.store.headers().items():
            if header.status in again:
                last = story(header.attempt, header.status, header.reason)
                self.history[trial_id] = ((*header.warnings, last), header.attempt + 1)
            else:
                self.statuses[trial_id] = header.status
        self.pending.extend(t for t in self.plan.trials if t.id not in self.statuses)

    def _listen(self, alive: int) -> BaseException | None:
        """Follow the workers until all have ended; the first error of any."""
        error: BaseException | None = None
        while alive:
            if self.stop.is_set():
                self.halt.set()
            try:
                message = self.messages.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if message is None:
                alive -= 1
            elif isinstance(message, Trial):
                self.started[message.id] = (message, time.monotonic())
                self._tell(started=message)
            elif isinstance(message, TrialRecord):
                _, since = self.started.pop(message.trial.id)
                self.durations.append(time.monotonic() - since)
                self.statuses[message.trial.id] = message.status
                self._tell(ended=message)
            else:
                error = error or message
                self.halt.set()
        return error

    def _work(self) -> None:
        try:
            while not self.halt.is_set():
                try:
                    trial = self.pending.popleft()
                except IndexError:
                    break
                self._work_on(trial)
        except Interrupted:
            pass
        except BaseException as error:  # raised again in the caller's thread
            self.messages.put(error)
        finally:
            self.messages.put(None)

    def _work_on(self, trial: Trial) -> None:
        self.messages.put(trial)
        earlier, first_attempt = self.history.get(trial.id, ((), 1))
        record = run_trial(
            trial,
            lambda: self._attempt(trial),
            earlier=earlier,
            first_attempt=first_attempt,
        )
        self.store.write(record)
        self.messages.put(record)

    def _attempt(self, trial: Trial) -> TrialRecord:
        workdir = self.store.work_dir / trial.id
        try:
            workdir.mkdir(parents=True)
        except OSError as error:
            raise InfrastructureError(
                "Cannot make the scratch directory of a trial",
                where=str(workdir),
                cause=error.strerror,
                next_step="make room, then resume the run",
            ) from error
        try:
            image = self.images[self.plan.kernel_key(trial)]
            return self.runners[trial.part].run(self.plan, trial, image, workdir, self.halt)
        except OSError as error:
            # A full disk, for one: the machine's trouble, and no result of the trial.
            raise InfrastructureError(
                f"A trial could not be run: {trial.id}",
                where=str(error.filename or workdir),
                cause=error.strerror or str(error),
                next_step="mend that, then resume the run",
            ) from error
        finally:
            shutil.rmtree(workdir, ignore_errors=True)

    def _tell(self, *, started: Trial | None = None, ended: TrialRecord | None = None) -> None:
        now = time.monotonic()
        running = [since for _, since in self.started.values()]
        waiting = len(self.plan.trials) - len(self.statuses) - len(running)
        self.progress(
            Progress(
                total=len(self.plan.trials),
                done=len(self.statuses),
                failed=sum(status is not TrialStatus.OK for status in self.statuses.values()),
                running=tuple(trial for trial, _ in self.started.values()),
                elapsed_s=now - self.begun,
                left_s=time_left(
                    self.durations, [now - since for since in running], waiting, self.jobs
                ),
                started=started,
                ended=ended,
            )
        )
