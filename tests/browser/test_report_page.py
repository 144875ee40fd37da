"""The report in a real browser: no request, no error, works without script, light and dark.

Chromium runs headless with a profile of its own. It is driven over its DevTools protocol
through a pipe, so that nothing listens on a port and nothing but Chromium is needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kernleap.report import html
from kernleap.report.view import view
from report_data import make

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-pipe",
)


# The protocol's pipes are descriptors 3 (commands) and 4 (answers) of the browser.
LAUNCH = """
import fcntl, os, sys
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1:3]]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE_S = 60


@dataclass
class Browser:
    """Chromium, one page at a time, and everything that page reported."""

    answers: int
    commands: int
    session: str = ""
    last: int = 0
    unread: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command; its result. Events that come meanwhile are kept."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait(self, method: str) -> None:
        """Until an event has come."""
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], PATIENCE_S)
            assert ready, f"the browser said nothing for {PATIENCE_S} seconds"
            data = os.read(self.answers, 1 << 20)
            assert data, "the browser has gone"
            self.unread += data
        first, _, self.unread = self.unread.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self.wait("Page.loadEventFired")

    def seen(self, method: str) -> list[dict[str, Any]]:
        """Parameters of all events of a kind since the page was opened."""
        return [e["params"] for e in self.events if e.get("method") == method]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("chromium is not installed here")
    profile = tmp_path_factory.mktemp("profile")
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", LAUNCH, str(to_browser), str(from_browser)),
            *(program, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
        ],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(answers, commands)
    finally:
        process.kill()
        process.wait(timeout=20)
        os.close(answers)
        os.close(commands)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A fresh page without anything of the one before."""
    chromium.session = ""
    context = chromium.call("Target.createBrowserContext")["browserContextId"]
    opened = chromium.call("Target.createTarget", url="about:blank", browserContextId=context)
    target = opened["targetId"]
    attached = chromium.call("Target.attachToTarget", targetId=target, flatten=True)
    chromium.session = attached["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        chromium.call(f"{domain}.enable")
    yield chromium
    chromium.session = ""
    chromium.call("Target.disposeBrowserContext", browserContextId=context)
    chromium.events.clear()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html.render(view(*make())), encoding="utf-8")
    return path


def problems(browser: Browser) -> list[dict[str, Any]]:
    """Errors, exceptions and messages of the console, refused content among them."""
    return [
        *browser.seen("Runtime.exceptionThrown"),
        *browser.seen("Runtime.consoleAPICalled"),
        *(e for e in browser.seen("Log.entryAdded") if e["entry"]["level"] != "verbose"),
    ]


def requests(browser: Browser) -> list[str]:
    """Addresses asked for, the page itself and data it carries left out."""
    asked = [e["request"]["url"] for e in browser.seen("Network.requestWillBeSent")]
    return [url for url in asked if not url.startswith(("file:", "data:"))]


def screenshot(browser: Browser) -> bytes:
    return base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"])


def media(browser: Browser, **features: str) -> None:
    listed = [{"name": name.replace("_", "-"), "value": v} for name, v in features.items()]
    browser.call("Emulation.setEmulatedMedia", features=listed)


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
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser.open(report)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_metrics_open_by_keyboard(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.evaluate("document.querySelector('#metrics details.m > summary').focus()")
    assert browser.evaluate("document.activeElement.tagName") == "SUMMARY"
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            text="\r",
            windowsVirtualKeyCode=13,
        )
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
    from dataclasses import replace

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
