"""The tutorial runs as it is written: its files, its server, its page and its client.

Only the port differs. The server is stopped in the middle of an answer and started again, as the
page says.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pages
import pytest
from real_servers import SECONDS, listen, until
from required import need_package, need_program

import gaistream
from gaistream.events import Done, TextDelta

FILES = [block for block in pages.blocks_of("docs/tutorial.md") if block.title]
PLAYED = ["server.py", "page.html", "server.py", "reader.py"]


def test_these_are_the_files_of_the_tutorial() -> None:
    assert [block.title for block in FILES if block.mark == "played"] == PLAYED


class Play:
    """A folder with the tutorial's files, and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with listen() as kept:
            self.port = kept.getsockname()[1]
        self._process: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, title: str, version: int = 0) -> str:
        """Write a file of the tutorial, and return its text."""
        block = [each for each in FILES if each.title == title][version]
        text = block.code.replace("http://127.0.0.1:8000", self.url)
        (self.folder / title).write_text(text)
        return text

    def run(self, *command: str, **more: Any) -> subprocess.Popen[Any]:
        package = Path(gaistream.__file__).parent.parent
        environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.folder, env=environment, **more
        )

    def start(self) -> None:
        command = ["-m", "uvicorn", "server:app", "--port", str(self.port)]
        self._process = self.run(*command, "--log-level", "error", stderr=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url, timeout=SECONDS).status_code < 599
        return False

    def stop(self) -> None:
        """Stop it by Ctrl-C."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(SECONDS)
            self._process = None


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    playing = Play(tmp_path)
    yield playing
    playing.stop()


def words_of(server: str) -> str:
    """Return the words of the server's answer."""
    return " ".join(re.search(r'^WORDS = "(.+)"\.split\(\)$', server, re.MULTILINE)[1].split())


def answer_of(url: str) -> str:
    """Read a whole answer."""
    said = list(gaistream.read_events(httpx.get(url, timeout=SECONDS).content))
    assert said[-1] == Done()
    return "".join(event.text for event in said if isinstance(event, TextDelta)).strip()


def test_the_server_answers(play: Play) -> None:
    server = play.write("server.py", 0)
    play.write("page.html")
    play.start()
    assert answer_of(f"{play.url}/chat") == words_of(server)
    assert "EventSource" in httpx.get(play.url).text


def test_the_reader_goes_on_after_a_restart_of_the_server(play: Play) -> None:
    server = play.write("server.py", 1)
    play.write("page.html")
    play.write("reader.py")
    play.start()
    reader = play.run("reader.py", stdout=subprocess.PIPE, text=True)
    with reader:
        read = "".join(reader.stdout.read(1) for _ in range(20))
        play.stop()
        play.start()
        read += reader.stdout.read()
        assert reader.wait(SECONDS) == 0
    notices = re.findall(r"\n\[after event (\d+): .+\]\n", read)
    assert notices
    assert all(int(number) > 0 for number in notices)
    assert re.sub(r"\n\[after event \d+: .+\]\n", "", read).strip() == words_of(server)


def test_the_page_goes_on_after_a_restart_of_the_server(play: Play) -> None:
    need_package("playwright")
    chromium = need_program("chromium")
    from playwright.sync_api import expect, sync_playwright

    server = play.write("server.py", 1)
    play.write("page.html")
    play.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.goto(play.url)
        expect(page.locator("#answer")).to_contain_text("A reader who", timeout=SECONDS * 1000)
        play.stop()
        expect(page.locator("#state")).to_have_text("reconnecting", timeout=SECONDS * 1000)
        play.start()
        expect(page.locator("#state")).to_have_text("complete", timeout=SECONDS * 1000)
        assert page.locator("#answer").inner_text().strip() == words_of(server)
        browser.close()
