"""Pictures of where threads ran: what is drawn is what the records hold, and words say the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import report_data
from kernleap.model.run import RunData
from kernleap.model.trial import TrialStatus
from kernleap.report import html
from kernleap.report.placement import in_words, placements, timeline
from kernleap.report.view import view

SPLIT = [(0, "0" * 8), (0, "1" * 8), (1, "1" * 8), (1, "0" * 8)]
GATHERED = [(0, "0" * 8), (0, "11" + "0" * 6), (1, "1" * 8), (1, "1.1.1.1.")]


def artifact(*plays: tuple[float, list[tuple[int, str]]], role: str = "spin", llc: str = "0-5"):
    return json.dumps(
        {
            "llcs": [llc, "6-11"],
            "plays": [
                {
                    "region": "spin/scattered",
                    "bin_ms": 50,
                    "locality": locality,
                    "threads": [{"process": p, "role": role, "path": path} for p, path in threads],
                }
                for locality, threads in plays
            ],
        }
    )


def run_with(**artifacts: str) -> tuple[object, RunData]:
    """A run whose first record of an arm has the artifact of that role."""
    judgement, run = report_data.make(candidates=("7.2",), boots=2, aa=False, failures=False)
    roles = {arm.name: arm.role for arm in run.plan.arms}
    records = tuple(
        replace(r, artifacts={"placement": artifacts[roles[r.trial.arm]]}) for r in run.records
    )
    return judgement, replace_run(run, records)


def replace_run(run: RunData, records) -> RunData:
    return RunData(run.plan, records, run.kconfigs, run.extra)


def shown(**artifacts: str):
    _, run = run_with(**artifacts)
    (found,) = placements(run)
    return found


def test_an_arm_is_shown_by_its_median_play():
    plays = artifact((0.9, GATHERED), (0.5, SPLIT), (0.6, SPLIT))
    found = shown(baseline=plays, candidate=artifact((1.0, GATHERED)))
    assert [arm.locality for arm in found.arms] == [0.6, 1.0]
    assert [arm.role for arm in found.arms] == ["baseline", "candidate"]
    assert found.arms[0].boots == (2 / 3, 2 / 3)


def test_words_tell_where_each_process_was():
    found = shown(baseline=artifact((0.5, SPLIT)), candidate=artifact((1.0, GATHERED)))
    first, second = (in_words(found, arm) for arm in found.arms)
    assert "process 0: 50% on CPUs 0-5, 50% on CPUs 6-11" in first
    assert "process 0: 100% on CPUs 0-5; process 1: 100% on CPUs 6-11" in second


def test_a_thread_is_drawn_in_the_bands_it_ran_in():
    found = shown(baseline=artifact((0.5, SPLIT)), candidate=artifact((1.0, GATHERED)))
    drawn = str(timeline(found, found.arms[1]))
    paths = re.findall(r'class="th q(\d)" d="([^"]+)"', drawn)
    assert [colour for colour, _ in paths] == ["0", "0", "1", "1"]
    rows = [len(set(re.findall(r"M\d+ (\d+)h", d))) for _, d in paths]
    assert rows == [1, 2, 1, 1]
    assert [d.count("M") for _, d in paths] == [1, 2, 1, 4]
    assert "<desc>Second half" in drawn


def test_the_page_has_the_pictures_and_escapes_what_it_is_told():
    hostile = artifact((0.5, SPLIT), role="<b>", llc="<script>alert(1)</script>")
    judgement, run = run_with(baseline=hostile, candidate=artifact((1.0, GATHERED)))
    page = html.render(view(judgement, run))
    assert 'id="placement"' in page
    assert page.count('class="pl"') == 2
    assert "<script>alert" not in page


def test_runs_without_pictures_and_failed_trials_show_none():
    judgement, run = report_data.make(boots=2)
    assert placements(run) == ()
    assert 'id="placement"' not in html.render(view(judgement, run))
    _, made = run_with(baseline=artifact((0.5, SPLIT)), candidate=artifact((1.0, GATHERED)))
    failed = tuple(replace(r, status=TrialStatus.INVALID) for r in made.records)
    assert placements(replace_run(made, failed)) == ()
