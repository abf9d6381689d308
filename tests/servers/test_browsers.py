"""Browsers read the streams: by EventSource and by fetch, with the handbook's own JavaScript.

Real browsers (Chromium, Firefox, WebKitGTK), a real server. The producer yields its next event
only when the page has said that it saw the one before, so an answer that arrives at all has arrived
token by token.
"""

from __future__ import annotations

import asyncio
import re
import threading
from importlib import resources
from typing import Any

import pytest
from browsers import Page, add_scripts
from real_servers import SECONDS, serve_uvicorn
from required import once_a_check

import gaistream
from gaistream import ChatRequest, SSEOptions, StreamError, asgi
from gaistream.events import Error, Finish, TextDelta, Usage
from gaistream.http import CORS

once_a_check()
PAGE = resources.files("gaistream").joinpath("handbook/browser.md").read_text()
SNIPPETS = re.findall(r"^```js\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[:2]
WORDS = ["Hel", "lo, ", "wörld ", "😀\n", "\u2028</script>"]
HTML = b"""<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>test</title>
<script>
  const problems = [], note = (problem) => problems.push(String(problem));
  addEventListener("error", (event) => note(event.message));
  addEventListener("unhandledrejection", (event) => note(event.reason));
</script>"""


class Stepwise:
    """A provider that goes on only when the page has acknowledged; and the test's server.

    Args:
        ends: what the source does after the words: "well", "error", "waits", or "refuses" before.
        cut: answers to POST, or first ones to GET, are cut after three events.
    """

    def __init__(self, ends: str = "well", *, cut: bool = False, **settings: Any) -> None:
        self.acknowledged = asyncio.Semaphore(0)
        self.closed = threading.Event()
        self.requests: list[str | None] = []
        self._ends, self._cuts = ends, cut
        self._sse = asgi.sse_handler(self, self._prepare, **settings)
        self._ndjson = asgi.ndjson_handler(self, self._prepare)

    async def _prepare(self, request: Any) -> ChatRequest:
        if self._ends == "refuses":
            raise StreamError("no room", code="busy", status=503)
        self.requests.append(request.last_event_id)
        if request.method == "POST":
            return ChatRequest.from_json(await request.json())
        return ChatRequest.from_question(request.query["q"])

    async def stream_text(self, request: ChatRequest) -> Any:
        assert request.question == "What?"
        try:
            for word in WORDS:
                yield TextDelta(word)
                await asyncio.wait_for(self.acknowledged.acquire(), SECONDS)
                if self._ends == "waits":
                    await asyncio.Event().wait()
            yield Error("out of words") if self._ends == "error" else Finish(Usage(1, len(WORDS)))
        finally:
            self.closed.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = {"/chat": self._sse, "/api/chat": self._ndjson}.get(scope["path"])
        if app is not None and self._cuts:
            self._cuts = False
            await _cut_after_three_events(app, scope, receive, send)
        elif app is not None:
            await app(scope, receive, send)
        else:
            if scope["path"] == "/seen":
                self.acknowledged.release()
            await _send(send, 200, b"text/html", HTML)


async def _send(send: Any, status: int, kind: bytes, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


async def _cut_after_three_events(app: Any, scope: Any, receive: Any, send: Any) -> None:
    events = 0

    async def send_some(message: Any) -> None:
        nonlocal events
        if events >= 3:
            raise OSError("cut")
        events += message.get("body", b"").count(b'"text":')
        await send(message)

    await app(scope, receive, send_some)
    raise RuntimeError("the test's server drops this connection")  # uvicorn closes it


def serve(app: Any) -> Any:
    return serve_uvicorn(app, "h11", "asyncio", timeout_graceful_shutdown=5)


def load(page: Page, address: str) -> None:
    page.goto(address)
    add_scripts(page, *SNIPPETS)


BY_EVENT_SOURCE = """() => new Promise((resolve) => {
  const seen = [];
  ask("What?", (text) => { seen.push(text); fetch("/seen"); },
      (error) => resolve({ seen, error, problems }));
})"""

BY_FETCH = """async (leave) => {
  const seen = [], kinds = [];
  let error = null;
  const body = { messages: [{ role: "user", content: "What?" }] };
  try {
    for await (const event of askByPost("/api/chat", body)) {
      kinds.push(event.type);
      if (event.type === "text_delta") { seen.push(event.text); await fetch("/seen"); }
      if (leave === "break") break;
      if (leave === "throw") throw new Error("the page's own");
    }
  } catch (thrown) {
    error = thrown.message;
  }
  return { seen, kinds, error, problems };
}"""


def test_the_handbook_has_a_client_for_each_format() -> None:
    assert "new EventSource" in SNIPPETS[0]
    assert "await fetch(" in SNIPPETS[1]


def test_event_source_receives_an_answer_token_by_token(page: Page) -> None:
    provider = Stepwise()
    with serve(provider) as server:
        load(page, server.url)
        assert page.run(BY_EVENT_SOURCE) == {"seen": WORDS, "error": None, "problems": []}
    assert provider.requests == [None]
    assert provider.closed.is_set()


def test_fetch_receives_ndjson_token_by_token(page: Page) -> None:
    with serve(Stepwise()) as server:
        load(page, server.url)
        answer = page.run(BY_FETCH)
    kinds = ["text_delta"] * len(WORDS) + ["finish", "done"]
    assert answer == {"seen": WORDS, "kinds": kinds, "error": None, "problems": []}


def test_after_a_cut_event_source_reconnects_and_is_told_that_there_is_no_more(page: Page) -> None:
    provider = Stepwise(cut=True, options=SSEOptions(include_id=True, retry_ms=1))
    with serve(provider) as server:
        load(page, server.url)
        answer = page.run(BY_EVENT_SOURCE)
    assert answer == {"seen": WORDS[:3], "error": "the answer was cut", "problems": []}
    assert provider.requests == [None, "3"], "a reconnect is prepared, and not answered again"


def test_a_reconnect_brings_the_last_event_id(page: Page) -> None:
    options = SSEOptions(include_id=True, retry_ms=1)
    provider = Stepwise(cut=True, options=options, on_reconnect="rerun")
    with serve(provider) as server:
        load(page, server.url)
        answer = page.run(BY_EVENT_SOURCE)
    assert answer == {"seen": WORDS[:3] + WORDS, "error": None, "problems": []}
    assert provider.requests == [None, "3"]


COMES_BACK = """() => new Promise((resolve) => {
  const source = new EventSource("/chat?q=What%3F");
  source.addEventListener("text_delta", (event) => {
    source.close();
    resolve(JSON.parse(event.data).text);
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) resolve("it is closed for good");
  };
})"""


def test_an_event_source_that_comes_during_a_drain_comes_back_to_the_next_process(
    page: Page,
) -> None:
    provider, drains = Stepwise(), list[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Drain until the browser has come twice, as a process would that goes on to listen."""
        if scope["path"] != "/chat":
            await provider(scope, receive, send)
            return
        ending = gaistream.drain(3600, retry_ms=1) if len(drains) < 2 else None
        drains.append(ending)
        await provider(scope, receive, send)
        if ending is not None:
            ending.cancel()

    with serve(app) as server:
        page.goto(server.url)
        assert page.run(COMES_BACK) == WORDS[0]
        assert provider.closed.wait(SECONDS)
    assert provider.requests == [None]
    assert len(drains) == 3


def test_closing_the_event_source_closes_the_producer_while_it_sleeps(page: Page) -> None:
    provider = Stepwise("waits")
    with serve(provider) as server:
        load(page, server.url)
        page.run("""() => new Promise((resolve) => {
          const stop = ask("What?", () => { stop(); resolve(); }, () => {});
        })""")
        assert provider.closed.wait(SECONDS)


@pytest.mark.parametrize("leave", ["break", "throw"])
def test_leaving_the_loop_closes_the_producer_while_it_sleeps(page: Page, leave: str) -> None:
    provider = Stepwise("waits")
    with serve(provider) as server:
        load(page, server.url)
        answer = page.run(BY_FETCH, leave)
        assert provider.closed.wait(SECONDS)
    assert answer["seen"] == WORDS[:1]
    assert answer["error"] == (None if leave == "break" else "the page's own")
    assert answer["problems"] == []


def test_aborting_closes_the_producer_and_rejects_the_loop(page: Page) -> None:
    provider = Stepwise("waits")
    with serve(provider) as server:
        load(page, server.url)
        answer = page.run("""async () => {
          const controller = new AbortController();
          const body = { messages: [{ role: "user", content: "What?" }] };
          try {
            for await (const _ of askByPost("/api/chat", body, controller.signal)) {
              controller.abort();
            }
          } catch (error) {
            await new Promise((resolve) => setTimeout(resolve, 20)); // for rejections nobody saw
            return { name: error.name, problems };
          }
        }""")
        assert provider.closed.wait(SECONDS)
    assert answer == {"name": "AbortError", "problems": []}


def test_a_cut_body_of_ndjson_throws_after_what_came(page: Page) -> None:
    with serve(Stepwise(cut=True)) as server:
        load(page, server.url)
        answer = page.run(BY_FETCH)
    assert answer["seen"] == WORDS[:3]
    assert answer["error"], "WebKit ends a body that was cut as if it were whole"
    assert answer["problems"] == []


def test_an_error_of_the_server_is_told_and_is_no_cut(page: Page) -> None:
    with serve(Stepwise("error")) as server:
        load(page, server.url)
        assert page.run(BY_EVENT_SOURCE)["error"] == "out of words"
    with serve(Stepwise("error")) as server:
        load(page, server.url)
        answer = page.run(BY_FETCH)
    assert (answer["kinds"][-1], answer["error"]) == ("error", None)


def test_a_refusal_before_the_first_event_is_no_cut(page: Page) -> None:
    with serve(Stepwise("refuses")) as server:
        load(page, server.url)
        assert page.run(BY_EVENT_SOURCE)["error"] == "the server refused"
        assert page.run(BY_FETCH)["error"] == "no room"


def test_a_refusal_that_is_no_json_is_told_by_its_status(page: Page) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        refused = scope["path"] == "/api/chat"
        await _send(send, 502 if refused else 200, b"text/html", HTML)

    with serve(app) as server:
        load(page, server.url)
        answer = page.run(BY_FETCH)
    assert answer["error"] == "HTTP 502"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'{"detail":"sign in first"}', "sign in first"),
        (b'{"detail":[{"loc":["body","q"],"msg":"Field required"}]}', "Field required"),
        (b'{"detail":{"code":7}}', "HTTP 422"),
        (b"null", "HTTP 422"),
    ],
)
def test_a_refusal_of_fastapis_own_is_told(page: Page, answer: bytes, error: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/api/chat":
            await _send(send, 422, b"application/json", answer)
        else:
            await _send(send, 200, b"text/html", HTML)

    with serve(app) as server:
        load(page, server.url)
        assert page.run(BY_FETCH)["error"] == error


def test_a_page_of_another_site_sends_its_own_header_and_reads_retry_after(page: Page) -> None:
    def busy(request: Any) -> None:
        assert request.headers["x-api-key"] == "mine"
        raise StreamError("slow down", code="rate_limited", status=429, retry_after=7)

    cors = CORS(("*",), allow_headers=("X-Api-Key",))
    api = asgi.ndjson_handler(Stepwise(), busy, cors=cors)
    with serve(api) as asked, serve(Stepwise()) as server:
        page.goto(server.url)
        answer = page.run("""async (url) => {
          const response = await fetch(url, { method: "POST", headers: { "X-Api-Key": "mine" } });
          return [response.status, response.headers.get("Retry-After")];
        }""", asked.url)
    assert answer == [429, "7"]
