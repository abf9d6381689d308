"""Chromium reads the streams: by EventSource and by fetch, with the README's own JavaScript.

A real browser, a real server. The producer yields its next event only when the page has said that
it saw the one before, so an answer that arrives at all has arrived token by token.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
import uvicorn

from gaistream import ChatRequest, SSEOptions, asgi
from gaistream.demo.app import create_app
from gaistream.events import Finish, TextDelta, Usage
from gaistream.providers.docs import DocsProvider

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = "chromium" in os.environ.get("GAISTREAM_REQUIRE", "").split(",")
if not REQUIRED:
    pytest.importorskip("playwright", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed", allow_module_level=True)
from playwright.sync_api import Page, sync_playwright  # noqa: E402 - after the skip

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"^```js\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
DEADLINE = 10_000  # milliseconds
WORDS = ["Hel", "lo, ", "wörld ", "😀\n", "\u2028</script>"]
HTML = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>test</title>"


@contextlib.contextmanager
def serving(app):
    """Serve an ASGI app in a thread, on a free port; give its address."""
    config = uvicorn.Config(app, port=0, interface="asgi3", log_level="warning", lifespan="off",
                            ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    listening = threading.Event()
    startup = server.startup

    async def startup_and_tell(sockets=None):
        await startup(sockets)
        listening.set()

    server.startup = startup_and_tell
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        assert listening.wait(10)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM is not None, "Chromium is required and missing"
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(DEADLINE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


class Stepwise:
    """A provider that goes on only when the page has acknowledged; and the test's server."""

    def __init__(self, **settings) -> None:
        self.acknowledged = asyncio.Semaphore(0)
        self.closed = threading.Event()
        self.requests: list[str | None] = []
        self.stop_after = len(WORDS)
        self.sse = asgi.sse_handler(self, self.prepare, **settings)
        self.ndjson = asgi.ndjson_handler(self, self.prepare)

    async def prepare(self, request):
        self.requests.append(request.last_event_id)
        if request.method == "POST":
            return ChatRequest.from_json(await request.json())
        return ChatRequest.from_question(request.query["q"])

    async def stream_text(self, request):
        assert request.question == "What?"
        try:
            for word in WORDS[: self.stop_after]:
                yield TextDelta(word)
                await asyncio.wait_for(self.acknowledged.acquire(), 10)
            if self.stop_after < len(WORDS):
                await asyncio.Event().wait()
            yield Finish(Usage(1, len(WORDS)))
        finally:
            self.closed.set()

    async def app(self, scope, receive, send):
        match scope["path"]:
            case "/chat":
                await self.sse(scope, receive, send)
            case "/api/chat":
                await self.ndjson(scope, receive, send)
            case path:
                if path == "/seen":
                    self.acknowledged.release()
                kind = b"text/html" if path == "/" else b"text/plain"
                await send({"type": "http.response.start", "status": 200,
                            "headers": [(b"content-type", kind)]})
                await send({"type": "http.response.body", "body": HTML if path == "/" else b""})


def load(page: Page, address: str) -> None:
    page.goto(address)
    for snippet in SNIPPETS:
        page.add_script_tag(content=snippet)


BY_EVENT_SOURCE = """() => new Promise((resolve) => {
  const seen = [];
  ask("What?", (text) => { seen.push(text); fetch("/seen"); },
      (error) => resolve({ seen, error }));
})"""

BY_FETCH = """async () => {
  const seen = [], kinds = [];
  const body = { messages: [{ role: "user", content: "What?" }] };
  for await (const event of askByPost("/api/chat", body)) {
    kinds.push(event.type);
    if (event.type === "text_delta") { seen.push(event.text); await fetch("/seen"); }
  }
  return { seen, kinds };
}"""


def test_the_readme_has_a_client_for_each_format():
    assert len(SNIPPETS) == 2
    assert "new EventSource" in SNIPPETS[0]
    assert "TextDecoderStream" in SNIPPETS[1]


def test_event_source_receives_an_answer_token_by_token(page):
    provider = Stepwise()
    with serving(provider.app) as address:
        load(page, address)
        assert page.evaluate(BY_EVENT_SOURCE) == {"seen": WORDS, "error": None}
    assert provider.requests == [None]
    assert provider.closed.is_set()


def test_fetch_receives_ndjson_token_by_token(page):
    provider = Stepwise()
    with serving(provider.app) as address:
        load(page, address)
        answer = page.evaluate(BY_FETCH)
    assert answer == {"seen": WORDS, "kinds": ["text_delta"] * len(WORDS) + ["finish", "done"]}


def drop_connections_on(path):
    """Give an app around an app that cuts the first answer of `path` after its third frame."""

    def around(app):
        cut = []

        async def cutting(scope, receive, send):
            if scope["path"] != path or cut:
                await app(scope, receive, send)
                return
            frames = 0

            async def send_some(message):
                nonlocal frames
                if frames >= 3:
                    raise OSError("cut")
                frames += message.get("body", b"").count(b"id: ")
                await send(message)

            cut.append(True)
            await app(scope, receive, send_some)
            raise RuntimeError("the test's server drops this connection")  # uvicorn closes it

        return cutting

    return around


def test_after_a_cut_event_source_reconnects_and_is_told_that_there_is_no_more(page):
    provider = Stepwise(options=SSEOptions(include_id=True, retry_ms=1))
    with serving(drop_connections_on("/chat")(provider.app)) as address:
        load(page, address)
        answer = page.evaluate(BY_EVENT_SOURCE)
    assert answer["seen"] == WORDS[:3]
    assert answer["error"] == "the answer was cut"
    assert provider.requests == [None], "the reconnect must not run the provider again"


def test_a_reconnect_brings_the_last_event_id(page):
    provider = Stepwise(options=SSEOptions(include_id=True, retry_ms=1), on_reconnect="rerun")
    with serving(drop_connections_on("/chat")(provider.app)) as address:
        load(page, address)
        answer = page.evaluate(BY_EVENT_SOURCE)
    assert answer == {"seen": WORDS[:3] + WORDS, "error": None}
    assert provider.requests == [None, "3"]


def test_closing_the_event_source_closes_the_producer_while_it_sleeps(page):
    provider = Stepwise()
    provider.stop_after = 1
    with serving(provider.app) as address:
        load(page, address)
        page.evaluate("""() => new Promise((resolve) => {
          const stop = ask("What?", () => { stop(); resolve(); }, () => {});
        })""")
        assert provider.closed.wait(10)


# ---- the demo's page ----


def demo_page(page: Page, address: str, mode: str) -> None:
    page.goto(address)
    page.get_by_test_id(f"mode-{mode}").click()


@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_the_demo_answers_from_the_handbook(page, mode):
    with serving(create_app(DocsProvider(rate=1000))) as address:
        demo_page(page, address, mode)
        page.get_by_test_id("question").fill("How do I stop nginx from buffering?")
        page.get_by_test_id("send").click()
        page.wait_for_function("() => document.querySelector('[data-testid=status]')"
                               ".textContent.includes('done')")
        answer = page.get_by_test_id("answer").last.inner_text()
        assert "X-Accel-Buffering" in answer
        assert "search_handbook" in answer
        assert "proxies.md" in page.get_by_test_id("sources").last.inner_text()
        assert re.search(r"\d+ out", page.get_by_test_id("usage").last.inner_text())
        assert re.search(r"\d+", page.get_by_test_id("ttft").inner_text())
        log = page.get_by_test_id("event-log").inner_text()
        for kind in ("text_delta", "finish_step", "finish", "done"):
            assert kind in log


@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_the_demos_stop_button_stops_the_producer(page, mode):
    class Endless:
        closed = threading.Event()

        async def stream_text(self, request):
            try:
                yield TextDelta("one ")
                await asyncio.Event().wait()
            finally:
                self.closed.set()

    provider = Endless()
    provider.closed.clear()
    with serving(create_app(provider)) as address:
        demo_page(page, address, mode)
        page.get_by_test_id("question").fill("Anything")
        page.get_by_test_id("send").click()
        page.wait_for_function("() => document.querySelector('[data-testid=answer]')"
                               "?.textContent.includes('one')")
        page.get_by_test_id("stop").click()
        assert provider.closed.wait(10)
        page.wait_for_function("() => document.querySelector('[data-testid=status]')"
                               ".textContent.includes('stopped')")


def test_the_demos_page_shows_a_hostile_answer_as_text(page):
    class Hostile:
        async def stream_text(self, request):
            yield TextDelta("<img src=x onerror=alert(1)><script>alert(2)</script>")

    page.on("dialog", lambda dialog: pytest.fail(f"the page ran {dialog.message}"))
    with serving(create_app(Hostile())) as address:
        demo_page(page, address, "ndjson")
        page.get_by_test_id("question").fill(json.dumps("</script>"))
        page.get_by_test_id("send").click()
        page.wait_for_function("() => document.querySelector('[data-testid=status]')"
                               ".textContent.includes('done')")
        assert "<img src=x" in page.get_by_test_id("answer").last.inner_text()
