"""Chromium without a window, driven over the DevTools protocol, with an authenticator of its own.

The protocol is JSON between NUL bytes on two pipes: it needs no library, and no port that anybody else could reach.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DEADLINE = 30.0
"""Seconds the browser has for an answer."""

Json = dict[str, Any]


class BrowserError(Exception):
    """The browser refused a command, or a script threw."""


def find() -> str:
    """The browser's program: ``JOBTRAIL_CHROMIUM``, or the first of NAMES on the path."""
    found = os.environ.get("JOBTRAIL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, (
        "there is no Chromium: apt-get install chromium, or set JOBTRAIL_CHROMIUM to the path of a Chromium or Chrome"
    )
    return found


class Chromium:
    """The browser: commands go to it as a whole, or to the session of one page."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._received = b""
        self._last_id = 0

    def command(self, method: str, *, session: str | None = None, **params: Any) -> Json:
        """Send a command and wait for its result; what else happens meanwhile is left alone."""
        self._last_id += 1
        message: Json = {"id": self._last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + DEADLINE
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                result: Json = answer["result"]
                return result

    def open(self, url: str) -> "Page":
        """A page of its own, loaded."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.command("Page.navigate", url=url)
        while page.run("document.URL + document.readyState") != url + "complete":
            time.sleep(0.02)
        return page

    def _receive(self, deadline: float) -> Json:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            read = os.read(self._from, 65_536) if ready else b""
            assert read, "the browser does not answer"
            self._received += read
        message, _, self._received = self._received.partition(b"\0")
        answer: Json = json.loads(message)
        return answer


class Page:
    """A page, and the session in which it takes commands."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def command(self, method: str, **params: Any) -> Json:
        return self._browser.command(method, session=self._session, **params)

    def run(self, script: str) -> Any:
        """The value of an expression, when it is there."""
        said = self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in said:
            raise BrowserError(said["exceptionDetails"]["exception"].get("description", said["exceptionDetails"]))
        return said["result"].get("value")

    def add_authenticator(self, *, verifies: bool = True) -> str:
        """An authenticator like the one built into a laptop; whoever sits there has the right finger, or has not."""
        self.command("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verifies,
            "automaticPresenceSimulation": True,
        }
        added = self.command("WebAuthn.addVirtualAuthenticator", options=options)
        return str(added["authenticatorId"])


@contextmanager
def started(profile: Path) -> Iterator[Chromium]:
    """The browser with an empty profile; it is gone afterwards."""
    commands, to_browser = map(_high, os.pipe())
    from_browser, answers = map(_high, os.pipe())

    def wire() -> None:
        os.dup2(commands, 3)  # where --remote-debugging-pipe reads, and writes
        os.dup2(answers, 4)

    log = profile.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                find(),
                "--headless=new",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),  # which root cannot have
            ],
            preexec_fn=wire,  # nothing else gives a child its descriptors 3 and 4
            pass_fds=(3, 4),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    os.close(commands)
    os.close(answers)
    browser = Chromium(to_browser, from_browser)
    try:
        yield browser
        browser.command("Browser.close")
        process.wait(10)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


def _high(descriptor: int) -> int:
    """The same under a number that is neither 3 nor 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
