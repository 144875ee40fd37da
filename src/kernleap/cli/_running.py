"""Running the trials of a run under signals, and telling how to go on when interrupted."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from kernleap.cli._inputs import Inputs
from kernleap.cli._progress import Show
from kernleap.model.errors import Exit, InfrastructureError, KernleapError, UsageError
from kernleap.model.trial import TrialStatus

if TYPE_CHECKING:
    from kernleap.model.run import RunPlan
    from kernleap.store import RunStore


class RunInterruptedError(KernleapError):
    """The user stopped a run."""

    exit_code = Exit.INTERRUPTED


def jobs_for(plan: RunPlan, asked: int | None) -> int:
    """Trials at once: what was asked for, or the CPUs that this process may use.

    Raises:
        UsageError: more was asked for than the kind of machine can do.
    """
    from kernleap.machine import kind_of

    most = [kind.jobs for part in plan.parts if (kind := kind_of(part.machine.kind)).jobs]
    if not most:
        return asked or len(os.sched_getaffinity(0))
    if asked is not None and asked > min(most):
        raise UsageError(
            f"--jobs {asked}: trials on this machine run one after another",
            cause="two at once would measure each other",
        )
    return min(most)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and SIGHUP set while the context lasts."""
    stop = threading.Event()

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    previous = {
        number: signal.signal(number, handler)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def run_trials(
    store: RunStore,
    inputs: Inputs,
    *,
    jobs: int,
    show: Show,
    again: Collection[TrialStatus] = (TrialStatus.LOST,),
    resume: str = "compare --resume",
) -> None:
    """Execute what is left of a run.

    `resume` is the command that goes on with it, for messages ("" where none does).

    Raises:
        RunInterruptedError: on Ctrl-C or SIGTERM; tells how to resume.
        InfrastructureError: as the executor; tells how to resume.
    """
    from kernleap.experiment.executor.local import execute
    from kernleap.machine import Interrupted

    again_text = f"kernleap {resume} {store.plan.id}" if resume else "run the same command again"
    try:
        with stopping() as stop:
            execute(
                store.plan,
                inputs.images,
                inputs.machines,
                store,
                jobs=jobs,
                progress=show.trials,
                stop=stop,
                again=again,
            )
    except Interrupted:
        done, total = len(store.finished()), len(store.plan.trials)
        raise RunInterruptedError(
            f"interrupted: {done} of {total} trials are stored, the others were not counted",
            next_step=again_text,
        ) from None
    except InfrastructureError as error:
        steps = [error.next_step] if error.next_step else []
        error.next_step = "; then ".join([*steps, again_text])
        raise
    finally:
        for machine in inputs.machines:
            machine.close()
