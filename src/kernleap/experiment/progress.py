"""How far a run is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from kernleap.model.trial import Trial, TrialRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run under way. Exactly one of `started`, `ended` is set, or neither.

    `done` counts stored trials, earlier sessions included; `failed` those not `ok`.
    `left_s` is the expected wall time to the end, None until a trial of this session ended.
    """

    total: int
    done: int
    failed: int
    running: tuple[Trial, ...]
    elapsed_s: float
    left_s: float | None
    started: Trial | None = None
    ended: TrialRecord | None = None


ProgressCallback = Callable[[Progress], None]


def time_left(
    durations: Sequence[float], running: Sequence[float], waiting: int, jobs: int
) -> float | None:
    """Expected seconds until the last trial ends.

    Args:
        durations: wall seconds of the trials that ended in this session.
        running: wall seconds since each running trial started.
        waiting: trials not yet started.
        jobs: how many run at once.

    Every trial is taken to last the mean; waiting ones start when a place is free.
    """
    if not durations:
        return None
    mean = fmean(durations)
    places = sorted(max(mean - age, 0.0) for age in running)
    places = [*([0.0] * (jobs - len(places))), *places]
    for _ in range(waiting):
        places = sorted([places[0] + mean, *places[1:]])
    return places[-1]
