"""A real browser for tests of pages: Chromium, headless, with a profile of its own.

It is driven over its DevTools protocol through a pipe, so that nothing listens on a port and
nothing but Chromium is needed.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def program() -> str | None:
    """The browser of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def launched(path: str, profile: Path) -> Iterator[Browser]:
    """Chromium, ended with the block."""
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", LAUNCH, str(to_browser), str(from_browser)),
            *(path, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
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


@contextmanager
def fresh_page(chromium: Browser) -> Iterator[Browser]:
    """A page without anything of the one before."""
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


def size(browser: Browser, width: int, height: int = 900) -> None:
    """The window's inner size in CSS pixels."""
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )


def press(browser: Browser, key: str, *, shift: bool = False, text: str = "") -> None:
    """One key, down and up."""
    codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code="Space" if key == " " else key,
            text=text,
            modifiers=8 if shift else 0,
            windowsVirtualKeyCode=codes.get(key, 0),
        )
