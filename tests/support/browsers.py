"""Real browsers, driven alike: Chromium, Firefox and WebKitGTK, each as Debian packages it.

A page is opened at an address and runs functions of JavaScript, which may return promises. Their
values come back as JSON; an exception raises. Chromium is driven by playwright, Firefox by
WebDriver BiDi over a WebSocket, WebKitGTK by selenium under a display of its own (Xvfb).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from required import need_package, need_program

SECONDS = 20  # that a function of a page may take
ENGINES = ["chromium", "firefox", "webkit"]
_LIBRARIES = Path("/usr/lib")
_PREFERENCES = """
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
"""


class ScriptError(AssertionError):
    """A function of a page threw, or took too long."""


class Page(Protocol):
    """A page of a browser: what the tests need."""

    def goto(self, address: str) -> None:
        """Open an address, and wait until it is loaded."""

    def run(self, function: str, *arguments: Any) -> Any:
        """Call a function of JavaScript in the page; wait for its promise; return its value."""


def add_scripts(page: Page, *scripts: str) -> None:
    """Add classic scripts to a page, as `<script>` would."""
    for script in scripts:
        page.run(
            """(code) => {
              const script = document.createElement("script");
              script.textContent = code;
              document.head.append(script);
            }""",
            script,
        )


@contextlib.contextmanager
def opened(engine: str) -> Iterator[Page]:
    """Start a browser, or skip; yield its page, and end it."""
    with {"chromium": _chromium, "firefox": _firefox, "webkit": _webkit}[engine]() as page:
        yield page


# ---- Chromium ----


class _Chromium:
    def __init__(self, page: Any) -> None:
        self._page = page

    def goto(self, address: str) -> None:
        self._page.goto(address)

    def run(self, function: str, *arguments: Any) -> Any:
        return self._page.evaluate(f"(given) => ({function})(...given)", list(arguments))


@contextlib.contextmanager
def _chromium() -> Iterator[Page]:
    need_package("playwright")
    program = need_program("chromium")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        page = chromium.new_page()
        page.set_default_timeout(SECONDS * 1000)
        yield _Chromium(page)
        chromium.close()


# ---- Firefox ----


class _Firefox:
    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._ids = itertools.count()
        self.call("session.new", capabilities={})
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=SECONDS))
            if answer.get("id") == number:
                break
        if answer["type"] == "error":
            raise ScriptError(answer["message"])
        return answer["result"]

    def goto(self, address: str) -> None:
        self.call("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def run(self, function: str, *arguments: Any) -> Any:
        given = json.dumps(arguments)
        said = self.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify([await ({function})(...{given})]))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if said["type"] == "exception":
            raise ScriptError(said["exceptionDetails"]["text"])
        return json.loads(said["result"]["value"])[0]


@contextlib.contextmanager
def _firefox() -> Iterator[Page]:
    need_package("websockets")
    program = need_program("firefox-esr")
    from websockets.sync.client import connect

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        (Path(home) / "user.js").write_text(_PREFERENCES)
        command = [program, "--headless", "--no-remote", "--profile", home,
                   "--remote-debugging-port", "0", "about:blank"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": home, "MOZ_CRASHREPORTER_DISABLE": "1"},
        )
        try:
            assert process.stderr is not None
            marks = (line.partition("listening on ")[2].strip() for line in process.stderr)
            address = next(filter(None, marks))
            with connect(f"{address}/session", max_size=None) as socket:
                yield _Firefox(socket)
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


# ---- WebKitGTK ----


class _WebKit:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def goto(self, address: str) -> None:
        self._driver.get(address)

    def run(self, function: str, *arguments: Any) -> Any:
        said = self._driver.execute_async_script(
            f"""const given = JSON.parse(arguments[0]), done = arguments[1];
            (async () => [await ({function})(...given)])().then(
              (value) => done(JSON.stringify({{ value }})),
              (error) => done(JSON.stringify({{ error: String(error) }})));""",
            json.dumps(arguments),
        )
        answer = json.loads(said)
        if "error" in answer:
            raise ScriptError(answer["error"])
        return answer["value"][0]


@contextlib.contextmanager
def _webkit() -> Iterator[Page]:
    need_package("selenium")
    driver_program, xvfb = need_program("WebKitWebDriver"), need_program("Xvfb")
    from selenium.webdriver import WebKitGTK, WebKitGTKOptions
    from selenium.webdriver.webkitgtk.service import Service

    [browser, *_] = sorted(_LIBRARIES.glob("*/webkit2gtk-4*/MiniBrowser"))
    options = WebKitGTKOptions()
    options.binary_location = str(browser)
    options.add_argument("--automation")
    with _display(xvfb) as display, tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DISPLAY": display, "HOME": home, "GDK_BACKEND": "x11",
                       "WEBKIT_DISABLE_COMPOSITING_MODE": "1", "NO_AT_BRIDGE": "1"}
        service = Service(driver_program, env=environment)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # selenium's
            driver = WebKitGTK(options=options, service=service)
        try:
            driver.set_script_timeout(SECONDS)
            yield _WebKit(driver)
        finally:
            driver.quit()


@contextlib.contextmanager
def _display(xvfb: str) -> Iterator[str]:
    """Start an X server that shows nothing, on a free display."""
    command = [xvfb, "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield f":{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
