"""Browsers run the scripts of the handbook's page on browsers, as they stand there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pages
import pytest
from browsers import ENGINES, Page, add_scripts, opened
from real_servers import SECONDS, serve_uvicorn
from required import once_a_check

from gaistream import ChatRequest, StreamError, asgi
from gaistream.events import Error

once_a_check()
SCRIPTS = [b.code for b in pages.blocks_of("gaistream/handbook/browser.md") if b.language == "js"]
BY_EVENT_SOURCE, BY_POST, SHOW, STOP = SCRIPTS
HTML = b"<!doctype html><meta charset=utf-8><title>test</title><button id=stop>Stop</button>"


class Answering:
    """Answers "What?" with two words, fails at "Fail" and refuses "Refuse"; else it has no end."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.chat = asgi.event_handler(self, self.prepare)

    async def prepare(self, request: Any) -> ChatRequest:
        if request.method == "POST":
            asked = ChatRequest.from_json(await request.json())
        else:
            asked = ChatRequest.from_question(request.query["q"])
        if asked.question == "Refuse":
            raise StreamError("no room", status=503)
        return asked

    async def stream_text(self, request: ChatRequest) -> Any:
        try:
            yield "Hello, "
            if request.question == "Fail":
                yield Error("out of words")
                return
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


@pytest.fixture(scope="module", params=ENGINES)
def page(request: Any) -> Iterator[Page]:
    with opened(request.param) as page:
        yield page


def serve(app: Any) -> Any:
    return serve_uvicorn(app, "h11", "asyncio", timeout_graceful_shutdown=5)


ASK_BY_EVENT_SOURCE = """(question) => new Promise((resolve) => {
  const seen = [];
  ask(question, (text) => seen.push(text), (why) => resolve([seen, why]));
})"""

ASK_BY_FETCH = """async (question) => {
  const seen = [];
  try {
    await showAnswer(question, (text) => seen.push(text));
  } catch (error) {
    return [seen, error.message];
  }
  return [seen, null];
}"""


def test_event_source_shows_a_whole_answer_and_tells_why_there_is_none(page: Page) -> None:
    with serve(Answering()) as server:
        page.goto(server.url)
        add_scripts(page, BY_EVENT_SOURCE)
        assert page.run(ASK_BY_EVENT_SOURCE, "What?") == [["Hello, ", "wörld"], None]
        assert page.run(ASK_BY_EVENT_SOURCE, "Fail") == [["Hello, "], "out of words"]
        assert "refused" in page.run(ASK_BY_EVENT_SOURCE, "Refuse")[1]


def test_fetch_shows_a_whole_answer_and_tells_why_there_is_none(page: Page) -> None:
    with serve(Answering()) as server:
        page.goto(server.url)
        add_scripts(page, BY_POST, SHOW)
        assert page.run(ASK_BY_FETCH, "What?") == [["Hello, ", "wörld"], None]
        assert page.run(ASK_BY_FETCH, "Fail") == [["Hello, "], "out of words"]
        assert page.run(ASK_BY_FETCH, "Refuse") == [[], "no room"]


def test_leaving_the_loop_stops_the_answer(page: Page) -> None:
    answering = Answering()
    with serve(answering) as server:
        page.goto(server.url)
        add_scripts(page, BY_POST)
        page.run("""async () => {
          const messages = [{ role: "user", content: "?" }];
          for await (const event of askByPost("/chat", { messages })) break;
        }""")
        assert answering.closed.wait(SECONDS)


def test_an_answer_is_stopped_by_the_button(page: Page) -> None:
    answering = Answering()
    with serve(answering) as server:
        page.goto(server.url)
        add_scripts(page, BY_POST, SHOW)
        page.run("""() => { console.log = (text) => { document.title = text; }; }""")
        add_scripts(page, STOP)
        page.run("""async () => {
          while (document.title !== "Hello,") await new Promise((go) => setTimeout(go, 5));
          document.querySelector("#stop").click();
        }""")
        assert answering.closed.wait(SECONDS)
