"""Pages of real stored runs, with everything that a page can have, in a real browser.

The full page is that of counts on two architectures and of imported times, with a fleet; places
of threads have a page of their own, since they are of other kernels.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from chromium import Browser, media, press, problems, requests, screenshot, size
from kernleap import cli
from stored_runs import FLEET, copy_of, imported

pytestmark = pytest.mark.browser

NAMES = ("full", "placement", "cost", "tradeoff")
AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"
A4_PX = 688
"""Width of A4 between margins of 14 mm, in CSS pixels."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    base = tmp_path_factory.mktemp("pages")
    found = {name: base / f"{name}.html" for name in NAMES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERNLEAP_RUNS", str(base / "runs"))
        patch.setenv("KERNLEAP_STATE", str(base / "state"))
        counted, placed = copy_of("two-architectures", base), copy_of("placement", base)
        timed = imported(base, 0.9)
        fleet = ("--fleet", str(FLEET))
        cli.run(["report", counted, timed, *fleet, "--html", str(found["full"])])
        cli.run(["report", placed, "--html", str(found["placement"])])
        cli.run(["cost", str(FLEET), timed, "--html", str(found["cost"])])
        cli.run(["tradeoff", timed, *fleet, "--html", str(found["tradeoff"])])
    return MappingProxyType(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, pages: Mapping[str, Path], name: str
) -> None:
    browser.open(pages[name])
    assert len(browser.seen("Network.requestWillBeSent")) >= 1
    assert requests(browser) == []
    assert problems(browser) == []
    assert len(screenshot(browser)) > 10_000


def test_every_section_is_there_in_the_order_it_is_read(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    browser.open(pages["full"])
    listed = "[...document.querySelectorAll('main > section')].map(s => s.id)"
    assert browser.evaluate(listed) == [
        "verdict", "moved", "architectures", "tails", "metrics", "behaviour", "confounders",
        "risk", "bill", "kernels", "effort", "elsewhere", "sensitivity", "methods", "inputs",
        "again",
    ]  # fmt: skip
    browser.open(pages["placement"])
    assert "placement" in browser.evaluate(listed)
    assert browser.evaluate("document.querySelectorAll('#placement svg.pl').length") == 6


def test_sections_say_what_the_runs_say(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["full"])
    said = {
        "#verdict .word": "reject",
        "#moved": "prandom_u32_state +40",
        "#architectures": "opposite directions",
        "#tails": "imported/guidellm/ttft",
        "#metrics": "serving/llama.cpp-tiny",
        "#risk": "As of ",
        "#bill": "EUR",
        "#kernels": "+11.11 %",
        "#again": "kernleap report ",
    }
    for where, text in said.items():
        found = browser.evaluate(f"document.querySelector('{where}').textContent")
        assert text in found, where
    links = "[...document.querySelectorAll('.chain li')].map(l => [l.className, l.textContent])"
    chain = browser.evaluate(links)
    assert [kind for kind, _ in chain] == ["", "", "open", "", ""]
    assert "+11.11 %" in chain[-1][1]


def test_each_address_in_a_page_leads_somewhere(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    broken = (
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href'))"
        ".filter(h => !document.getElementById(h.slice(1)))"
    )
    for name in NAMES:
        browser.open(pages[name])
        assert browser.evaluate(broken) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(browser: Browser, pages: Mapping[str, Path], scheme: str) -> None:
    media(browser, prefers_color_scheme=scheme)
    for name in NAMES:
        browser.open(pages[name])
        browser.evaluate(OPEN_ALL)
        audit = browser.evaluate(AUDIT)
        assert audit["seen"] > 30
        assert audit["bad"] == [], name


def test_the_audit_sees_what_cannot_be_read(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["cost"])
    browser.evaluate("document.querySelector('.lead').style.opacity = '0.3'")
    (first, *_) = browser.evaluate(AUDIT)["bad"]
    assert "A million tokens" in first[0]


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_only_tables_scroll_sideways(
    browser: Browser, pages: Mapping[str, Path], width: int
) -> None:
    size(browser, width)
    for name in NAMES:
        browser.open(pages[name])
        browser.evaluate(OPEN_ALL)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
        # What is not in a box that scrolls stays within the window.
        outside = (
            "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre, svg,"
            f" .vh') && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML"
            ".slice(0, 80))"
        )
        assert browser.evaluate(outside) == [], name


def test_the_chain_is_in_one_column_on_a_narrow_screen_and_beside_its_titles_on_a_wide_one(
    browser: Browser, pages: Mapping[str, Path]
) -> None:
    places = (
        "[...document.querySelectorAll('.chain li')].map(l => ['.link', '.said'].map(q => "
        "{ const r = l.querySelector(q).getBoundingClientRect(); return [r.left, r.top]; }))"
    )
    size(browser, 1280)
    browser.open(pages["full"])
    wide = browser.evaluate(places)
    assert len(wide) == 5
    assert all(said[0] > title[0] + 150 for title, said in wide)
    assert len({round(said[0]) for _, said in wide}) == 1
    size(browser, 390)
    narrow = browser.evaluate(places)
    assert all(said[1] > title[1] and said[0] == title[0] for title, said in narrow)


FOCUSABLE = """
[...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')].filter(
  e => e.checkVisibility({contentVisibilityAuto: true}))
"""
FOCUS = """
(() => {
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  return [FOCUSABLE.indexOf(e), style.outlineStyle, parseFloat(style.outlineWidth),
          box.bottom > 0 && box.top < innerHeight];
})()
""".replace("FOCUSABLE", FOCUSABLE.strip())


@pytest.mark.parametrize("name", ["full", "tradeoff"])
def test_tab_goes_through_everything_in_order_and_shows_where_it_is(
    browser: Browser, pages: Mapping[str, Path], name: str
) -> None:
    size(browser, 1280)
    browser.open(pages[name])
    browser.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    count = browser.evaluate(f"{FOCUSABLE.strip()}.length")
    reached = []
    for _ in range(count):
        press(browser, "Tab")
        place, style, width, in_window = browser.evaluate(FOCUS)
        assert style != "none"
        assert width >= 1
        assert in_window
        reached.append(place)
    # Boxes that scroll are stops of the browser's own; all others come in the page's order.
    known = [place for place in reached if place >= 0]
    assert known == list(range(len(known)))
    assert len(known) > 0.9 * count


def test_the_skip_link_comes_first_and_skips(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["full"])
    press(browser, "Tab")
    shown = "document.activeElement.getBoundingClientRect().left >= 0"
    assert browser.evaluate("document.activeElement.className") == "skip"
    assert browser.evaluate(shown) is True
    press(browser, "Enter", text="\r")
    assert browser.evaluate("location.hash") == "#moved"
    press(browser, "Tab")
    after = "document.querySelector('#moved').compareDocumentPosition(document.activeElement) & 4"
    assert browser.evaluate(after) == 4


def test_the_filter_works_by_keyboard(browser: Browser, pages: Mapping[str, Path]) -> None:
    browser.open(pages["full"])
    shown = "document.querySelectorAll('#metrics details.m:not([hidden])').length"
    everything = browser.evaluate(shown)
    browser.evaluate("document.querySelector('nav a:last-child').focus()")
    for _ in range(60):
        press(browser, "Tab")
        if browser.evaluate("document.activeElement.id") == "q":
            break
    browser.call("Input.insertText", text="ttft")
    assert browser.evaluate(shown) == 3
    assert "3 of " in browser.evaluate("document.querySelector('#shown').textContent")
    browser.evaluate("q.select()")
    browser.call("Input.insertText", text="")
    press(browser, "Tab")
    assert browser.evaluate("document.activeElement.value") == "better"
    press(browser, " ", text=" ")
    assert 0 < browser.evaluate(shown) < everything
    press(browser, " ", text=" ")
    for _ in range(5):
        press(browser, "Tab")
    assert browser.evaluate("document.activeElement.id") == "all"
    press(browser, "Enter", text="\r")
    assert browser.evaluate(
        "[...document.querySelectorAll('#metrics details.m')].every(d => d.open)"
    )
    assert problems(browser) == []


@pytest.mark.parametrize("name", NAMES)
def test_paper_has_everything(browser: Browser, pages: Mapping[str, Path], name: str) -> None:
    browser.open(pages[name])
    printed = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type /Page\b", printed)) >= 1
    browser.call("Emulation.setEmulatedMedia", media="print")
    size(browser, A4_PX)
    wide = (
        "[...document.querySelectorAll('table, svg, pre')].filter(e => e.checkVisibility() && "
        f"e.getBoundingClientRect().right > {A4_PX} + 1)"
        ".map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect().right])"
    )
    assert browser.evaluate(wide) == []
    clipped = (
        "[...document.querySelectorAll('.scroll, pre')].filter(e => e.checkVisibility() && "
        "(e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1))"
        ".map(e => e.outerHTML.slice(0, 90))"
    )
    assert browser.evaluate(clipped) == []
    closed = (
        "[...document.querySelectorAll('details')].filter(d => !d.matches('.m:not(.moved)') && "
        "[...d.children].some(c => c.tagName !== 'SUMMARY' && "
        "!c.checkVisibility({contentVisibilityAuto: true}))).map(d => d.outerHTML.slice(0, 90))"
    )
    assert browser.evaluate(closed) == []
    empty = (
        "[...document.querySelectorAll('main > section')].filter(s => s.offsetHeight < 20).length"
    )
    assert browser.evaluate(empty) == 0
