"""How much longer: checked against cases worked out by hand."""

from __future__ import annotations

import pytest

from kernleap.experiment.progress import time_left


def test_unknown_until_a_trial_ended():
    assert time_left([], [1.0], 5, 2) is None


@pytest.mark.parametrize(
    ("durations", "running", "waiting", "jobs", "expected"),
    [
        ([10.0], [], 0, 2, 0.0),
        ([10.0], [4.0], 0, 2, 6.0),
        ([10.0], [4.0, 8.0], 1, 2, 12.0),  # free in 2 s, then 10 more
        ([8.0, 12.0], [0.0, 0.0], 2, 2, 20.0),
        ([10.0], [30.0], 0, 1, 0.0),  # overdue: any moment
        ([10.0], [], 3, 1, 30.0),
        ([10.0], [], 3, 4, 10.0),
    ],
)
def test_time_left(durations, running, waiting, jobs, expected):
    assert time_left(durations, running, waiting, jobs) == expected
