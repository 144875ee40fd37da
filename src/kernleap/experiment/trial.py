"""The life of a trial: attempts until one counts, then one record. No threads, no storage.

```
planned -> attempt -> ok ---------------------------> recorded
              |  ^     invalid (the result is bad) --> recorded
              |  |     panicked, hung, lost: infrastructure
              |  `------------ attempts left ---|
              |                                 `----> recorded (the last attempt, with
              `-> interrupted: nothing recorded         what became of the earlier ones)
```
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from kernleap.model.trial import Trial, TrialRecord, TrialStatus

MAX_ATTEMPTS = 2
RETRIED = frozenset({TrialStatus.PANICKED, TrialStatus.HUNG, TrialStatus.LOST})
"""Infrastructure: worth another attempt. `invalid` would only repeat itself."""


def story(attempt: int, status: TrialStatus, reason: str) -> str:
    """What became of an attempt that was followed by another, for the final record."""
    return f"attempt {attempt} {status}: {reason or 'no reason known'}"


def run_trial(
    trial: Trial,
    attempt: Callable[[], TrialRecord],
    *,
    earlier: Sequence[str] = (),
    first_attempt: int = 1,
) -> TrialRecord:
    """Run a trial to the record that counts.

    `attempt` boots once. `earlier` are the stories of attempts before this call (a resumed
    run); numbering goes on at `first_attempt`. The record's warnings begin with what became
    of failed attempts. Whatever `attempt` raises passes through: there is nothing to record.
    """
    stories = list(earlier)
    last_attempt = first_attempt + MAX_ATTEMPTS - 1
    for number in range(first_attempt, last_attempt + 1):
        record = attempt()
        if record.trial != trial:
            raise RuntimeError(f"the runner answered {record.trial.id} when asked for {trial.id}")
        if record.status not in RETRIED or number == last_attempt:
            break
        stories.append(story(number, record.status, record.reason))
    return dataclasses.replace(record, attempt=number, warnings=(*stories, *record.warnings))
