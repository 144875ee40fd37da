"""Settings of a load that differ between arms: they did not ask the same of the server."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any

from kernleap.model.result import Confounder
from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus

FACT = "settings"
"""The fact of a trial that holds its settings: numbers where they were measured, else words."""
TOLERANCE = 0.01
"""Measured settings (mean lengths of prompts and answers, say) may differ by this, relatively."""
_WHY = {
    "tool version": "another version of the tool may measure otherwise",
    "target": "another server, perhaps another machine",
    "model": "another model is another amount of work",
}
_OTHERWISE = "the arms were not given the same load"


def unlike_settings(run: RunData, baseline: str, arm: str) -> tuple[Confounder, ...]:
    """Settings in which the trials of a candidate arm differ from those of the baseline."""
    here, there = _settings(run, baseline), _settings(run, arm)
    found = []
    for name in dict.fromkeys((*here, *there)):
        ours, theirs = here.get(name, []), there.get(name, [])
        if not _alike(ours, theirs):
            why = _WHY.get(name.rpartition(": ")[2], _OTHERWISE)
            found.append(Confounder("load", name, _shown(ours), _shown(theirs), why))
    return tuple(found)


def _settings(run: RunData, arm: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in run.records:
        if record.trial.arm != arm or record.status is not TrialStatus.OK:
            continue
        settings = record.facts.get(FACT)
        for name, value in settings.items() if isinstance(settings, dict) else ():
            found.setdefault(str(name), []).append(value)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike(ours: list[Any], theirs: list[Any]) -> bool:
    if ours and theirs and all(_is_number(v) for v in (*ours, *theirs)):
        one, other = fmean(ours), fmean(theirs)
        return abs(one - other) <= TOLERANCE * max(abs(one), abs(other))
    return set(map(str, ours)) == set(map(str, theirs))


def _shown(values: Iterable[Any]) -> str:
    values = list(values)
    if values and all(_is_number(v) for v in values):
        return f"{fmean(values):g}"
    return ", ".join(sorted(set(map(str, values)))) or "not given"


def order_of_trials(run: RunData, baseline: str, arm: str) -> tuple[Confounder, ...]:
    """Whether all timed trials of one arm came before all of the other's."""
    here, there = _starts(run, baseline), _starts(run, arm)
    if len(here) + len(there) < 3 or not here or not there:
        return ()
    if max(here) < min(there):
        words = ("all of them first", "all of them last")
    elif max(there) < min(here):
        words = ("all of them last", "all of them first")
    else:
        return ()
    why = "whatever drifted meanwhile counts as the candidate's effect; measure in turns"
    return (Confounder("load", "order of trials", *words, why),)


def _starts(run: RunData, arm: str) -> list[float]:
    return [
        float(record.facts["started"])
        for record in run.records
        if record.trial.arm == arm
        and record.status is TrialStatus.OK
        and _is_number(record.facts.get("started"))
    ]
