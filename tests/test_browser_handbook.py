"""Chromium runs the scripts of the handbook's page on browsers, as they stand there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pages
import pytest
from real_servers import SECONDS, serve_uvicorn
from required import need_package, need_program

from gaistream import ChatRequest, asgi

SCRIPTS = [b.code for b in pages.blocks_of("gaistream/handbook/browser.md") if b.language == "js"]
BY_EVENT_SOURCE, EVENTS, BY_FETCH, STOP = SCRIPTS
HTML = b"<!doctype html><meta charset=utf-8><title>test</title><button id=stop>Stop</button>"


class Answering:
    """Answers "What?" with two words; any other question with one, and no end."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.chat = asgi.event_handler(self, self.prepare)

    async def prepare(self, request: Any) -> ChatRequest:
        if request.method == "POST":
            return ChatRequest.from_json(await request.json())
        return ChatRequest.from_question(request.query["q"])

    async def stream_text(self, request: ChatRequest) -> Any:
        try:
            yield "Hello, "
            if request.question != "What?":
                await asyncio.Event().wait()
            yield "wörld"
        finally:
            self.closed.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/chat":
            await self.chat(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": HTML})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    need_package("playwright")
    chromium = need_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


def load(browser: Any, address: str, *scripts: str) -> Any:
    page = browser.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    for script in scripts:
        page.add_script_tag(content=script)
    return page


def test_event_source_shows_a_whole_answer(browser: Any) -> None:
    with serve_uvicorn(Answering(), "h11", "asyncio") as server:
        page = load(browser, server.url, BY_EVENT_SOURCE)
        seen = page.evaluate("""() => new Promise((resolve) => {
          const seen = [];
          ask("What?", (text) => seen.push(text), () => resolve(seen), (why) => resolve([why]));
        })""")
        page.close()
    assert seen == ["Hello, ", "wörld"]


def test_fetch_shows_a_whole_answer(browser: Any) -> None:
    with serve_uvicorn(Answering(), "h11", "asyncio") as server:
        page = load(browser, server.url, EVENTS, BY_FETCH)
        seen = page.evaluate("""async () => {
          const seen = [];
          await ask("What?", (text) => seen.push(text));
          return seen;
        }""")
        page.close()
    assert seen == ["Hello, ", "wörld"]


def test_an_answer_is_stopped_by_the_button(browser: Any) -> None:
    answering = Answering()
    with serve_uvicorn(answering, "h11", "asyncio") as server:
        page = load(browser, server.url, EVENTS, BY_FETCH)
        with page.expect_console_message(lambda message: message.text == "Hello, "):
            page.add_script_tag(content=STOP)
        page.click("#stop")
        assert answering.closed.wait(SECONDS)
        page.close()
