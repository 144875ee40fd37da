"""The page: self-contained, escaped, bounded in size, valid as far as a parser can tell."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernleap.judge import Judgement
from kernleap.model.metric import Role
from kernleap.model.run import RunData
from kernleap.report import html
from kernleap.report.view import view
from report_data import Made, finish, make, make_arms, path

ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a parser sees: tags, attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.within: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            while self.within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.within):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def source() -> str:
    return html.render(view(*make()))


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_nothing_is_loaded_from_anywhere(source: str, page: Page) -> None:
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "poster", "srcset", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:,")), target
    assert "@import" not in source
    assert "url(" not in source
    assert not re.search(r"https?://", source)


def test_the_policy_allows_the_one_script_by_its_digest(source: str, page: Page) -> None:
    script = re.search(r"<script>(.*?)</script>", source, re.DOTALL)
    assert script
    assert len(page.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policies = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}'" in str(policies[0]["content"])
    assert "default-src 'none'" in str(policies[0]["content"])


def test_no_attribute_runs_code(page: Page) -> None:
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_every_part_is_there_in_order(source: str) -> None:
    parts = (
        "verdict", "moved", "metrics", "behaviour", "confounders", "failures", "methods", "inputs",
        "again",
    )  # fmt: skip
    places = [source.index(f'<section id="{part}"') for part in parts]
    assert places == sorted(places)


def test_every_metric_shows_figures_decision_and_grade(page: Page) -> None:
    shown = view(*make())
    rows = [a for a in page.all("details") if "m" in str(a.get("class")).split()]
    primary = [m for family in shown.primary for m in family.metrics]
    changed = [m for m in (*shown.secondary, *shown.behaviour) if m.moved]
    assert len(rows) == len(primary) + len(changed)
    for metric in shown.metrics:
        finding = metric.findings[0]
        assert finding.candidate_text in page.text
        assert metric.label in page.text
    assert page.text.count("counted") >= len(shown.metrics)


def test_plots_have_names_or_are_hidden_from_readers(source: str) -> None:
    plots = re.findall(r"<svg\b([^>]*)>(.*?)</svg>", source, re.DOTALL)
    assert plots
    for attributes, body in plots:
        described = 'role="img"' in attributes and body.startswith("<title>") and "<desc>" in body
        assert described or 'aria-hidden="true"' in attributes
    assert sum('role="img"' in attributes for attributes, _ in plots) > 10


def test_there_is_a_point_for_every_boot() -> None:
    judgement, run = make(boots=6)
    shown = view(judgement, run)
    strips = re.findall(r'<svg class="st".*?</svg>', html.render(shown), re.DOTALL)
    metrics = [m for f in shown.primary for m in f.metrics]
    metrics += [m for m in (*shown.behaviour, *shown.secondary) if m.moved]
    assert len(strips) == len(metrics)
    for strip in strips:
        dots = "".join(re.findall(r'class="pt [^"]*" d="([^"]*)"', strip))
        assert dots.count("h0") == 2 * 6


def hostile(text: str) -> tuple[Judgement, RunData]:
    """A small run in which everything that can come from outside is `text`."""
    judgement, run = make(boots=1, aa=False)
    failed = run.records[-1]
    record = replace(
        failed,
        trial=replace(failed.trial, arm=text),
        artifacts={"console": text},
        reason=text,
    )
    inputs = tuple(
        replace(i, arm=renamed(i.arm, text), release=text, provenance={"package": text})
        for i in run.plan.inputs
    )
    arms = tuple(replace(a, name=renamed(a.name, text)) for a in run.plan.arms)
    parts = tuple(replace(part, emulator_version=text) for part in run.plan.parts)
    plan = replace(run.plan, inputs=inputs, arms=arms, command=(text,), parts=parts)
    findings = {
        renamed(arm, text): tuple(
            replace(
                f,
                reason=text,
                functions=tuple(replace(x, name=text, group=text) for x in f.functions),
                events=((text, 1.0, 2.0),),
                comparison=replace(
                    f.comparison, quality=(text,), metric=replace(f.comparison.metric, unit=text)
                ),
            )
            for f in found
        )
        for arm, found in judgement.findings.items()
    }
    confounders = {
        renamed(arm, text): tuple(
            replace(c, kind=text, name=text, baseline=text, candidate=text) for c in rows
        )
        for arm, rows in judgement.confounders.items()
    }
    verdicts = {
        renamed(arm, text): replace(
            v, policy=text, reasons=tuple(replace(r, rule=text) for r in v.reasons)
        )
        for arm, v in judgement.verdicts.items()
    }
    changed = replace(
        judgement,
        plan=plan,
        findings=findings,
        confounders=confounders,
        verdicts=verdicts,
        failures=((record.trial.id, "panicked", text),),
        warnings=(text,),
    )
    return changed, replace(run, plan=plan, records=(*run.records[:-1], record))


def renamed(arm: str, text: str) -> str:
    """The candidate goes by `text`, the baseline by its own name."""
    return text if arm == "debian:7.2" else arm


def structure(text: str) -> list[str]:
    """The tags of the page of a hostile run: text must never change them."""
    return [tag for tag, _ in Page(html.render(view(*hostile(text)))).tags]


def test_a_script_as_a_name_is_shown_and_not_run() -> None:
    source = html.render(view(*hostile(ATTACK)))
    assert ATTACK not in source
    found = Page(source)
    assert len(found.all("script")) == 1
    assert ATTACK in found.text


@pytest.mark.parametrize(
    "text",
    [
        ATTACK,
        '"><img src=x onerror=alert(1)>',
        "' onmouseover='alert(1)",
        "</title></style></svg><h1>",
        "{{ 7 * 7 }}{% for x in y %}",
        "]]><!--",
        "&lt;b&gt;&#x3c;",
        "javascript:alert(1)",
    ],
)
def test_hostile_text_changes_no_tag(text: str) -> None:
    assert structure(text) == structure("plain")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(), min_size=1, max_size=60))
def test_no_text_changes_a_tag(text: str) -> None:
    source = html.render(view(*hostile("x" + text)))
    assert source.encode("utf-8")
    assert [tag for tag, _ in Page(source).tags] == structure("plain")


def test_a_large_run_stays_below_the_limit_and_says_what_it_leaves_out() -> None:
    source = html.render(view(*large()))
    assert len(source.encode()) < html.SIZE_LIMIT
    assert "This page is shortened" in source
    assert source.count('<details class="m') == 200
    assert source.count('<svg class="st"') == 200
    assert source.count('<span class="row">') == 600


def test_a_usual_run_is_shown_whole(source: str) -> None:
    assert len(source.encode()) < html.SIZE_LIMIT / 3
    assert "This page is shortened" not in source


def large() -> tuple[Judgement, RunData]:
    """200 metrics that all moved, in 4 arms of 20 boots."""
    made = Made(make_arms(("7.1", "7.2", "7.3"), aa=False), 20, random.Random(3))
    for place in range(200):
        name = f"workload-{place}-of-many/2p-batch/kernel_instructions"
        made.add(path(name, Role.SCHEDULED), 5000 + place * 13, 0.05, 0.01)
    return finish(made)


def test_a_long_console_and_many_failures_stay_bounded() -> None:
    judgement, run = make(boots=20)
    flood = tuple(replace(r, artifacts={"console": "A" * 10**6}) for r in run.records)
    failures = tuple((r.trial.id, "hung", "B" * 10**5) for r in flood)
    source = html.render(view(replace(judgement, failures=failures), replace(run, records=flood)))
    assert len(source.encode()) < html.SIZE_LIMIT


def test_contrast_of_text_is_at_least_4_5_to_1_in_light_and_dark() -> None:
    style = html.render(view(*make(boots=1)))
    blocks = re.findall(r":root\{([^}]*)\}", style)
    assert len(blocks) == 3
    for block in blocks:
        colours = dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})", block))
        for name in ("ink", "mute", "better", "worse", "same", "open", "other"):
            for ground in ("bg", "card", "soft"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground, block[:40])


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two colours."""
    first, second = sorted((luminance(one), luminance(other)), reverse=True)
    return (first + 0.05) / (second + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.1 relative luminance of `#rgb` or `#rrggbb`."""
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(d * 2 for d in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
