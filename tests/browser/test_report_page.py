"""The report in a real browser: no request, no error, works without script, light and dark."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from chromium import Browser, media, press, problems, requests, screenshot, size
from kernleap.report import html
from kernleap.report.view import view
from report_data import make

pytestmark = pytest.mark.browser


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html.render(view(*make())), encoding="utf-8")
    return path


def test_it_opens_without_a_request_or_a_message(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.evaluate("document.title") == "debian:7.2 against debian:7.0 · kernleap"
    assert len(browser.seen("Network.requestWillBeSent")) >= 1
    assert requests(browser) == []
    assert problems(browser) == []


def test_light_and_dark_differ_and_both_show_the_verdict(browser: Browser, report: Path) -> None:
    browser.open(report)
    grounds, shots = [], []
    for scheme in ("light", "dark"):
        media(browser, prefers_color_scheme=scheme)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        shots.append(screenshot(browser))
    assert grounds[0] != grounds[1]
    assert shots[0] != shots[1]
    assert browser.evaluate("document.querySelector('.word').getBoundingClientRect().top < 400")


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_sticks_out_sideways(browser: Browser, report: Path, width: int) -> None:
    size(browser, width)
    browser.open(report)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_metrics_open_by_keyboard(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.evaluate("document.querySelector('#metrics details.m > summary').focus()")
    assert browser.evaluate("document.activeElement.tagName") == "SUMMARY"
    press(browser, "Enter", text="\r")
    assert browser.evaluate("document.querySelector('#metrics details.m').open") is True


def test_filter_by_name_and_by_decision(browser: Browser, report: Path) -> None:
    browser.open(report)
    shown = "document.querySelectorAll('#metrics details.m:not([hidden])').length"
    everything = browser.evaluate(shown)
    browser.evaluate("q.value = 'epoll-64'; q.dispatchEvent(new Event('input'))")
    assert browser.evaluate(shown) == 3
    browser.evaluate("q.value = ''; q.dispatchEvent(new Event('input'))")
    assert browser.evaluate(shown) == everything
    browser.evaluate("document.querySelector('.tools input[value=worse]').click()")
    assert 0 < browser.evaluate(shown) < everything
    assert problems(browser) == []


def test_without_script_everything_is_there(browser: Browser, report: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(report)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.evaluate("document.querySelector('.tools').hidden") is True
    assert browser.evaluate("document.querySelectorAll('#metrics details.m').length") == 35


def test_a_hostile_name_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    judgement, run = make()
    attack = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    inputs = tuple(replace(i, release=attack) for i in run.plan.inputs)
    changed = replace(run, plan=replace(run.plan, inputs=inputs))
    path = tmp_path / "hostile.html"
    path.write_text(html.render(view(replace(judgement, warnings=(attack,)), changed)), "utf-8")
    browser.open(path)
    assert browser.evaluate("document.title") != "owned"
    assert "<script>" in browser.evaluate("document.querySelector('.rel').textContent")
    assert requests(browser) == []
    assert problems(browser) == []


def test_what_policy_forbids_is_seen_by_this_test(browser: Browser, report: Path) -> None:
    """An intruding script or picture is refused by the browser, and the tests would notice."""
    intruder = "<img src='http://127.0.0.1:9/x.png'><script>document.title='owned'</script>"
    text = report.read_text(encoding="utf-8").replace("<main>", f"<main>{intruder}")
    report.write_text(text, encoding="utf-8")
    browser.open(report)
    assert browser.evaluate("document.title") != "owned"
    assert problems(browser)


def test_printing_opens_what_moved(browser: Browser, report: Path) -> None:
    browser.open(report)
    printed = browser.call("Page.printToPDF", printBackground=False)["data"]
    assert base64.b64decode(printed).startswith(b"%PDF")
    browser.call("Emulation.setEmulatedMedia", media="print")
    height = "document.querySelector('details.moved .body').getBoundingClientRect().height"
    assert browser.evaluate(height) > 50
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
