"""Where threads ran: for each placement workload a picture of the caches over time, arm by arm.

One play stands for an arm: the one whose locality is the median of all its plays. Time goes to
the right, each last-level cache is a band, a thread is a line in the band of the cache it ran in,
coloured by its process.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus
from kernleap.report import text

_WIDTH, _LEFT, _RIGHT = 560, 78, 6
_ROW, _GAP, _TOP = 6, 10, 4
COLOURS = 6
"""Classes `q0` to `q5` of the style sheet; processes beyond take them again."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the play shown. `path`: a cache's number for each bin, -1 where it slept."""

    process: int
    role: str
    path: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ArmPlay:
    """An arm's median play, and the locality of each of its boots in block order."""

    label: str
    role: str
    locality: float
    boots: tuple[float, ...]
    threads: tuple[Thread, ...]
    bin_ms: int


@dataclass(frozen=True, slots=True)
class PlacementView:
    """One workload. `llcs` are the lists of CPUs of the caches."""

    region: str
    llcs: tuple[str, ...]
    arms: tuple[ArmPlay, ...]


def placements(run: RunData) -> tuple[PlacementView, ...]:
    """A view for each placement workload of the run; records that hold no pictures are skipped."""
    plays: dict[str, dict[str, list[tuple[int, dict[str, Any]]]]] = {}
    llcs: tuple[str, ...] = ()
    for record in sorted(run.records, key=lambda r: (r.trial.block, r.trial.order)):
        if record.status is not TrialStatus.OK or "placement" not in record.artifacts:
            continue
        document = json.loads(record.artifacts["placement"])
        llcs = tuple(text.clean(str(one), 40) for one in document["llcs"])
        for play in document["plays"]:
            arms = plays.setdefault(str(play["region"]), defaultdict(list))
            arms[record.trial.arm].append((record.trial.block, play))
    return tuple(
        PlacementView(
            text.clean(region, 80),
            llcs,
            tuple(
                _arm_play(text.clean(arm.name, 120), arm.role, arms[arm.name])
                for arm in run.plan.arms
                if arms.get(arm.name)
            ),
        )
        for region, arms in plays.items()
    )


def _arm_play(label: str, role: str, plays: Sequence[tuple[int, dict[str, Any]]]) -> ArmPlay:
    ranked = sorted((play for _, play in plays), key=lambda play: float(play["locality"]))
    chosen = ranked[(len(ranked) - 1) // 2]
    of_boot = groupby(plays, key=lambda item: item[0])
    return ArmPlay(
        label=label,
        role=role,
        locality=float(chosen["locality"]),
        boots=tuple(_mean([float(play["locality"]) for _, play in group]) for _, group in of_boot),
        threads=tuple(
            Thread(
                int(one["process"]),
                text.clean(str(one["role"]), 20),
                tuple(-1 if c == "." else int(c, 36) for c in one["path"]),
            )
            for one in chosen["threads"]
        ),
        bin_ms=int(chosen["bin_ms"]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def timeline(view: PlacementView, play: ArmPlay) -> Markup:
    """The picture of one arm. What it shows is also said in words, for those who cannot see it."""
    bins = max((len(t.path) for t in play.threads), default=1)
    band = _ROW * len(play.threads) + 6
    height = _TOP + len(view.llcs) * (band + _GAP) + 14
    inner = _WIDTH - _LEFT - _RIGHT
    step = inner / bins
    parts = []
    for number, cpus in enumerate(view.llcs):
        top = _TOP + number * (band + _GAP)
        box = Markup('<path class="bd" d="M{0} {1}h{2}v{3}h-{2}z"/>').format(
            _LEFT, top, inner, band
        )
        label = Markup('<text x="0" y="{:.0f}">CPUs {}</text>').format(top + band / 2 + 4, cpus)
        parts += [box, label]
    for row, thread in enumerate(play.threads):
        parts.append(
            Markup('<path class="th q{}" d="{}"/>').format(
                thread.process % COLOURS, "".join(_segments(thread, row, band, step))
            )
        )
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        parts.append(
            Markup('<text class="tk" x="{:.0f}" y="{}" text-anchor="{}">{:.0f} ms</text>').format(
                _LEFT + share * bins * step, height - 3, anchor, share * bins * play.bin_ms
            )
        )
    return Markup(
        '<svg class="pl" viewBox="0 0 {} {}" role="img"><title>{} on {}</title>'
        "<desc>{}</desc>{}</svg>"
    ).format(_WIDTH, height, view.region, play.label, in_words(view, play), Markup("").join(parts))


def _segments(thread: Thread, row: int, band: int, step: float) -> Iterable[str]:
    at = 0
    for cache, run in groupby(thread.path):
        length = sum(1 for _ in run)
        if cache >= 0:
            y = _TOP + cache * (band + _GAP) + 6 + row * _ROW
            yield f"M{_LEFT + at * step:.0f} {y}h{max(1.0, length * step - 1):.0f}"
        at += length


def in_words(view: PlacementView, play: ArmPlay) -> str:
    """The second half of the play, process by process."""
    by_process: dict[int, list[int]] = defaultdict(list)
    for thread in play.threads:
        by_process[thread.process] += thread.path[len(thread.path) // 2 :]
    told = []
    for process, path in sorted(by_process.items()):
        ran = [cache for cache in path if cache >= 0]
        shares = ", ".join(
            f"{ran.count(number) / len(ran):.0%} on CPUs {cpus}"
            for number, cpus in enumerate(view.llcs)
            if ran.count(number)
        )
        told.append(f"process {process}: {shares or 'asleep'}")
    return f"Second half, {'; '.join(told)}."
